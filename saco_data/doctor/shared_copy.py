"""What somebody may do with a copy that is another's: all but writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset
from saco_data.model.finding import Finding, fail, ok

# As in docs/shared.md.
COMMANDS = (
    "`saco status`",
    "`saco verify --read-only`",
    "`saco preview --to DIR`",
    "`saco report --to FILE`",
    "`saco eval`",
    "`saco_data.load`",
)


def examine(settings: Settings, waiting: Sequence[Subset]) -> Iterator[Finding]:
    """Findings about a copy that may only be read; `waiting`: subsets that are not complete."""
    owner = _name_owner(settings)
    work = f"{', '.join(COMMANDS[:-1])} and {COMMANDS[-1]} work, nothing is written into it"
    yield ok("shared copy", f"{settings.silver} is {owner}'s, you may only read it: {work}")
    if waiting:
        names = [subset.id for subset in waiting]
        yield fail(
            "shared copy",
            f"not complete: {', '.join(names)}",
            f"Ask {owner} to run `saco prepare {' '.join(names)}`",
        )


def _name_owner(settings: Settings) -> str:
    try:
        return settings.state.owner()
    except (KeyError, OSError):
        return "somebody else"
