"""The known name that is nearest to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable


def suggest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`Did you mean 'geode'?`, or "" where no known name is near. Ignores case, `-` and `_`."""
    import difflib

    names: dict[str, str] = {}
    for each in known:
        names.setdefault(_plain(each), each)
    wanted = _plain(word)
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=cutoff)
    # "shard" is nearer to "shards" than to "share": a beginning counts before likeness.
    begins = [each for each in names if wanted and each.startswith(wanted)]
    found = min(begins, key=len) if begins else near[0] if near else ""
    return f"Did you mean {names[found]!r}?" if found else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")
