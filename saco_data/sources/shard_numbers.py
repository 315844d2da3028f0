"""The shards of a subset that the config names: numbers, and ranges such as "0-3"."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from saco_data.catalog.manifest import Manifest
from saco_data.model.errors import ConfigError


def parse(given: Iterable[int | str]) -> set[int]:
    """The numbers in the value of `shards`."""
    numbers: set[int] = set()
    for each in given:
        first, _, last = str(each).partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def name_archives(manifest: Manifest, numbers: Collection[int], also: str = "") -> tuple[str, ...]:
    """The archives of these shards. Raises ConfigError for none, or for one that does not exist.

    `also`: another key of the config that chooses among them.
    """
    count = manifest.raw.shards or 0
    if not numbers:
        raise ConfigError(
            "the config chooses no shard",
            item=manifest.id,
            remedy="Correct `shards` (a range is written 0-3)"
            + (f", and `{also}` where it is set" if also else ""),
        )
    for number in sorted(numbers):
        if number >= count:
            raise ConfigError(
                f"there is no shard {number}",
                item=manifest.id,
                remedy=f"Write numbers from 0 to {count - 1} in `shards`"
                + (", and right ids" if also else ""),
            )
    return tuple(str(manifest.raw.archive).format(number) for number in sorted(numbers))
