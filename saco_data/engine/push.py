"""Publishes a copy that was prepared here in a bucket or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.config.yaml_text import is_bucket
from saco_data.engine.publish import Published, publish
from saco_data.engine.subset import bind
from saco_data.model.errors import UsageError
from saco_data.state.ledger import Ledger
from saco_data.state.lock import Lock
from saco_data.storage.probe import require_conditions
from saco_data.storage.store import open_store
from saco_data.storage.targets import require_target


@dataclass
class Pushed:
    """What was published, by subset."""

    subsets: list[Published] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            each.subset: {
                "put": each.put,
                "replaced": each.replaced,
                "same": each.same,
                "bytes_sent": each.sent,
                "skipped": each.skipped,
            }
            for each in self.subsets
        }


def push(settings: Settings, place: str, names: Sequence[str]) -> Pushed:
    """Publishes the subsets of these names that are begun here.

    Raises UsageError for a wrong place, or where nothing is prepared; LockHeld while a run is at
    work; DiskFull, OutputError or Incomplete where the place does not take it.
    """
    bound = bind(settings, names)
    for subset in bound:
        if subset.config.bucket:
            raise UsageError(
                "what is prepared of this is published there already",
                item=f"{subset.id} at {subset.config.bucket}",
                remedy="Copy it with the tools of the bucket, or name other subsets",
            )
    if not is_bucket(place):
        if "://" in place:
            raise UsageError(
                "is no place that can be published in",
                item=place.partition("://")[0] + "://",
                remedy="Write s3://bucket/prefix, gs://bucket/prefix or a folder",
            )
        if Path(place).resolve() == settings.silver.resolve():
            raise UsageError("is where the copy is", item=place, remedy="Name another place")
        require_target(Path(place).absolute(), is_folder=True)
    store = open_store(place)
    done = Pushed()
    with Lock(settings.state), Ledger(settings.state) as ledger:
        begun = [each for each in bound if ledger.facts(each.id).files]
        if not begun:
            raise UsageError(
                "nothing of this is prepared here",
                item=", ".join(names),
                remedy="Run `saco prepare` first",
            )
        for subset in begun:
            if subset.manifest.shard_files is not None:
                raise UsageError(
                    f"its licence ({subset.manifest.licence}) does not let it be passed on",
                    item=subset.id,
                    remedy="Name the other subsets",
                )
        require_conditions(store)
        for subset in begun:
            done.subsets.append(publish(subset, ledger, store))
    return done
