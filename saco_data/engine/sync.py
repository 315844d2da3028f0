"""`saco sync`: brings subsets up to date, for a timer.

Adds to `saco prepare`: re-checks of missing items at growing intervals, new versions of annotation
files and media at their source, and verification of a rotating sample of finished products. Items
that are available again return to the annotations, which are derived from the downloaded ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from saco_data.config.settings import Settings
from saco_data.engine import gone_policy, published, session, shard_files, verify
from saco_data.engine.checking import find_change
from saco_data.engine.events import Reporter, Result
from saco_data.engine.subset import Subset, bind
from saco_data.executors import Executor
from saco_data.model.errors import Blocked, Incomplete, SacoError, most_severe
from saco_data.model.items import Item
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome, Product
from saco_data.sources.annotation_files import Annotations
from saco_data.state.database import LedgerDamaged
from saco_data.state.ledger import Ledger

DAY = 86400
# Seconds by which a timer may start early.
SLACK = 2 * 3600
# (age of the verdict, pause until the next look), in seconds: the first row with a larger age.
PAUSES = ((DAY, 0), (7 * DAY, DAY), (60 * DAY, 7 * DAY))
LONGEST = 30 * DAY
# Products verified in one run, and assets of a subset whose version the source is asked for.
SAMPLE = 500
# Shards of which files are verified in one run.
SHARDS = 5
ASKED = 20
_PAGE = 1000


@dataclass
class Checked:
    """What was checked in a subset before its run.

    `verified`: number of products read. `rotten`: damaged or lost products. `followed`: assets that
    have a new version at their source.
    """

    verified: int = 0
    rotten: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Synced:
    """How a sync ended, by subset."""

    code: int
    results: dict[str, Result]
    checked: dict[str, Checked]

    def as_json(self) -> dict[str, Any]:
        """What changed since last time, as `saco sync --json` prints it."""
        return {
            "subsets": {
                name: {
                    **result.changes.as_json(),
                    "verified": self.checked[name].verified,
                    "rotten": self.checked[name].rotten,
                    "followed": self.checked[name].followed,
                    "exit_code": result.code,
                }
                for name, result in self.results.items()
            },
            "exit_code": self.code,
        }


def is_due(item: Item, now: float) -> bool:
    """Whether to look again at an item that is not done.

    In every sync on the first day of its verdict, daily in the first week, weekly for two months,
    then monthly. Items that wait for the user are due in every sync.
    """
    if item.state is State.BLOCKED and not item.reason.has(Effect.REST):
        return True
    age = now - (item.since if item.gone_first is None else item.gone_first)
    pause = next((pause for limit, pause in PAUSES if age < limit), LONGEST)
    # `last_seen` in the future: the clock was ahead then.
    return not 0 <= now - item.last_seen < pause - SLACK


def sync(
    settings: Settings,
    names: Sequence[str],
    reporter: Reporter,
    *,
    full: bool = False,
    confirm_gone: bool = False,
    clock: Callable[[], float] = time.time,
    executor: Executor | None = None,
) -> Synced:
    """Brings subsets up to date; `full` reads all finished products again, not only a sample.

    Raises as `session.run`. `clock` and `executor` as in `session.go`.
    """
    now = int(clock())
    subsets = bind(settings, names)
    checked = {subset.id: Checked() for subset in subsets}
    renew: dict[str, set[str]] = {}

    def look_again(subset: Subset, item: Item) -> bool:
        gone = item.state is State.GONE
        return is_due(item, now) or (gone and gone_policy.is_second_look_due(subset, item, now))

    def prelude(ledger: Ledger, stop: threading.Event) -> None:
        share = _share_sample(ledger, subsets)
        for subset in subsets:
            check = checked[subset.id]
            try:
                _follow_annotations(subset, ledger, reporter, check)
                limit = None if full else share[subset.id]
                _verify(subset, ledger, limit, check, stop)
                for name in check.rotten:
                    note = f"{name}: the file was damaged or lost; it is made again"
                    reporter.note(subset.id, note)
                if not stop.is_set():
                    renew[subset.id] = _find_changed(subset, ledger)
                    check.followed = sorted(renew[subset.id])
            except LedgerDamaged:
                raise
            except SacoError as error:
                # The other subsets go on.
                reporter.note(subset.id, str(error))
                check.codes.append(error.exit_code)

    finished = session.go(
        settings,
        [subset.id for subset in subsets],
        "sync",
        reporter,
        is_due=look_again,
        confirm_gone=confirm_gone,
        renew=renew,
        prelude=prelude,
        clock=clock,
        executor=executor,
    )
    codes = [finished.code, *(code for check in checked.values() for code in check.codes)]
    return Synced(most_severe(codes), finished.results, checked)


def _share_sample(ledger: Ledger, subsets: Iterable[Subset]) -> dict[str, int]:
    """How many products of each subset to verify: `SAMPLE` shared by their numbers."""
    done = {subset.id: ledger.done_bytes(subset.id)[0] for subset in subsets}
    total = sum(done.values())
    return {name: -(-SAMPLE * count // total) if total else 0 for name, count in done.items()}


def _follow_annotations(subset: Subset, ledger: Ledger, reporter: Reporter, check: Checked) -> None:
    """Gets a newer annotation file, where the present one came from the hub."""
    if not ledger.facts(subset.id).revision:
        return
    try:
        got = Annotations().fetch(subset.config)
    except (Blocked, Incomplete) as error:
        # The present file remains usable.
        reporter.note(subset.id, f"could not look for newer annotations: {error}")
        check.codes.append(error.exit_code)
        return
    if got.state == "replaced":
        reporter.note(subset.id, f"the annotations changed; the old file is kept as {got.kept_as}")


def _verify(
    subset: Subset, ledger: Ledger, limit: int | None, check: Checked, stop: threading.Event
) -> None:
    """Compares finished products with their digests: the next `limit` in turn, or all."""
    facts = ledger.facts(subset.id)
    most = None
    if limit is not None and subset.manifest.shard_files is not None:
        limit, most = min(limit, SHARDS), SAMPLE // SHARDS
    at = facts.sampled_to if limit is not None else ""
    objects = published.Objects(subset) if subset.config.bucket else None
    number = ledger.done_bytes(subset.id)[0]
    left = number if limit is None else min(limit, number)
    with ThreadPoolExecutor(subset.config.keys.jobs) as threads:
        while left > 0 and not stop.is_set():
            page = ledger.done_after(subset.id, at, min(left, _PAGE))
            faults = list(
                threads.map(lambda item: _find_fault(subset, item, objects, most), page.values())
            )
            for item, outcome in zip(page.values(), faults, strict=True):
                if outcome is not None:
                    ledger.record([outcome])
                    verify.discard(subset, Product(item.key, 0, 0), outcome.reason)
                    check.rotten.append(item.key)
            check.verified += len(page)
            left -= len(page)
            if page:
                at = next(reversed(page))
            elif not at:
                break
            else:
                # Past the last one: go on from the first, so that each sync verifies a full sample.
                at = ""
    if limit is not None:
        facts.sampled_to = at
        ledger.set_facts(subset.id, facts)


def _find_fault(
    subset: Subset, item: Item, objects: published.Objects | None, most: int | None
) -> Outcome | None:
    """The outcome of a finished product that is damaged or lost; None if it is sound.

    `objects`: the published products, where the subset is in a bucket. `most`: so many files of a
    shard are compared; None for all.
    """
    if subset.manifest.shard_files is not None:
        return shard_files.find_fault(subset, item, most)
    found = find_change(subset, item.key, item.sha256)
    if found is not None and found.reason is Reason.PRODUCT_LOST and objects is not None:
        return objects.find_fault(item)
    return found


def _find_changed(subset: Subset, ledger: Ledger) -> set[str]:
    """The keys of assets with another version at the source; asks about the next few in turn."""
    facts = ledger.facts(subset.id)
    is_asset = subset.manifest.frames
    asked = ledger.done_after(subset.id, facts.asked_to, ASKED, is_asset=is_asset)
    if len(asked) < ASKED and facts.asked_to:
        # Past the last one: go on from the first, as verification does.
        asked |= ledger.done_after(subset.id, "", ASKED - len(asked), is_asset=is_asset)
    known = {
        (key if is_asset else subset.source.key_of(Product(key, 0, 0))): item
        for key, item in asked.items()
    }
    changed = set(subset.source.find_changed(known))
    facts.asked_to = next(reversed(asked), "")
    ledger.set_facts(subset.id, facts)
    return changed
