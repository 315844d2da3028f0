"""Wanted files that lie in another place of an archive or folder than its manifest says.

Mirrors pack a part one level deeper, leave out the root, or change letter case. A file is found by
the last parts of its path, whatever their case; only a name that is there once may be used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class Elsewhere:
    """The places of wanted files, gathered from all other names of an archive.

    `names`: what each key is called there. `slash`: what stands in a key for the "/" of a path.
    """

    def __init__(self, names: Mapping[str, str], slash: str) -> None:
        self._slash = slash
        self._keys: dict[str, set[str]] = {}
        self._places: dict[str, dict[str, str]] = {}
        for key, name in names.items():
            for tail in {name.casefold(), name.rpartition("/")[2].casefold()}:
                self._keys.setdefault(tail, set()).add(key)

    def add(self, name: str) -> None:
        """Looks at the name of a member that is not where it is expected."""
        path = name.replace("\\", "/").casefold()
        # A zip gives a name in several encodings: they are one member.
        member = _NOT_ASCII.sub("?", path)
        for tail in self._tails(path):
            for key in self._keys.get(tail, ()):
                self._places.setdefault(key, {}).setdefault(member, name)

    def _tails(self, path: str) -> Iterator[str]:
        start = 0
        while True:
            tail = path[start:].replace("/", self._slash)
            yield tail
            # Keys may lack the ending of the file (see `raw.members`).
            stem, dot, _ = tail.rpartition(".")
            if dot:
                yield stem
            if (at := path.find("/", start)) < 0:
                return
            start = at + 1

    def places(self, key: str) -> list[str]:
        """The members that may be the wanted file."""
        return sorted(self._places.get(key, {}).values())

    def only_places(self, keys: Collection[str]) -> dict[str, str]:
        """The keys, of these, that are in one place which is no other key's, by that place."""
        owners: dict[str, list[str]] = {}
        for key in self._places:
            for place in self.places(key):
                owners.setdefault(place, []).append(key)
        return {
            place: key
            for place, (key, *others) in owners.items()
            if not others and key in keys and len(self.places(key)) == 1
        }
