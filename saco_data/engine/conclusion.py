"""Ends the run of one subset: confirms gone items, prunes, and determines the exit code."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

from saco_data.dataset import pruned
from saco_data.dataset.index import Index
from saco_data.engine import (
    cleaning,
    frame_counts,
    freshness,
    gone_policy,
    partial_copy,
    shard_counts,
    veval,
)
from saco_data.engine.events import Reporter, Result, Stages
from saco_data.engine.subset import Subset
from saco_data.model.errors import Blocked, Incomplete, SacoError, most_severe
from saco_data.model.items import SubsetFacts
from saco_data.model.reasons import Effect, Reason
from saco_data.model.snapshot import Snapshot
from saco_data.state.ledger import Ledger, LedgerDamaged
from saco_data.storage.disk_errors import describe_system_error

_ALL_GONE = (
    "the source says that files are gone, but has never given one. A wrong address gives the same "
    "answer, so nothing was pruned. Check the raw medium and `endpoints` in the config; if the "
    "files are really gone, confirm it: `saco prune --confirm-gone`"
)


def conclude(
    subset: Subset,
    ledger: Ledger,
    reporter: Reporter,
    result: Result,
    *,
    stages: Stages,
    index: Index | None,
    confirm_gone: bool,
    stopped: bool,
) -> None:
    """Prunes what may be pruned and sets the error and exit code of `result`.

    `index`: the annotations to prune; None where they were not read, or only a list was given.
    `confirm_gone`: the user confirms that the gone items are gone. Raises LedgerDamaged.
    """
    error = result.error
    throttled = isinstance(error, Blocked) and error.reason.has(Effect.REST)
    if not (result.throttled or throttled):
        ledger.witness(subset.id, result.seen_gone)
    if confirm_gone:
        ledger.confirm_gone(subset.id)
    snapshot = ledger.snapshot(subset.id)
    facts = snapshot.facts
    try:
        if index is not None:
            gone = _prune(subset, index, snapshot, facts)
            partial_copy.update(subset, index, ledger, facts, gone)
            if gone_policy.needs_confirmation(subset, snapshot):
                reporter.note(subset.id, _ALL_GONE)
        if error is None and stages.process and (note := veval.link(subset)):
            reporter.note(subset.id, note)
    except LedgerDamaged:
        raise
    except Exception as failed:
        error = error or failed
    if error is not None and not isinstance(error, SacoError):
        error = describe_system_error(error) or error
    if note := partial_copy.describe(subset, facts):
        reporter.note(subset.id, note)
    if result.changed and (note := frame_counts.describe(subset, ledger)):
        reporter.note(subset.id, note)
    if result.changed and (note := shard_counts.describe(subset, ledger)):
        reporter.note(subset.id, note)
    if error is None and stages.process and not stopped and snapshot.counts.keys() == {Reason.OK}:
        cleaning.remove_unpacked(subset.config)
    result.error = error
    if index is not None and error is None and stages.process and not stopped:
        facts.ended = freshness.describe_end(subset, result.stamped)
    facts.waits = _describe_wait(error)
    ledger.set_facts(subset.id, facts)
    result.code = _code(subset, snapshot, error, stages)
    if error is not None:
        reporter.note(subset.id, _describe(error))
    reporter.end(subset.id, result.code)


def _describe_wait(error: BaseException | None) -> list[str]:
    """Reason and message of what stopped a subset early: why its other files are pending."""
    if not isinstance(error, Blocked | Incomplete):
        return []
    return [str(getattr(error, "reason", "")), str(error)]


def _prune(subset: Subset, index: Index, snapshot: Snapshot, facts: SubsetFacts) -> dict[str, str]:
    """Derives the annotations for evaluation, unless they are up to date; returns what they lack.

    That is the files that are gone, with their reasons.
    """
    gone = gone_policy.find_removable(subset, snapshot)
    removed = pruned.removed_sha256(gone)
    if not _is_up_to_date(subset, index, facts, gone, removed):
        done = subset.derive(index, gone)
        facts.image_nps_kept, facts.masks_kept = done.image_nps, done.masks
        facts.keep_list_sha256 = done.keep_list_sha256
    facts.derived_from = index.sha256
    facts.derived_stamp = subset.derived_stamp()
    facts.removed_sha256 = removed
    unconfirmed = snapshot.gone.keys() - gone.keys()
    facts.unconfirmed = len(unconfirmed) if subset.config.may_prune else 0
    return gone


def _is_up_to_date(
    subset: Subset, index: Index, facts: SubsetFacts, gone: Mapping[str, str], removed: str
) -> bool:
    """Whether the derived file lacks just what is gone. `removed`: the digest of `gone`."""
    return (
        facts.derived_stamp == subset.derived_stamp()
        and facts.derived_from == index.sha256
        and facts.removed_sha256 == removed
        and facts.keep_list_sha256
        == pruned.keep_list_sha256(name for name in index.products if name not in gone)
    )


def _code(subset: Subset, snapshot: Snapshot, error: BaseException | None, stages: Stages) -> int:
    codes = []
    if error is not None:
        codes.append(error.exit_code if isinstance(error, SacoError) else 1)
    # A download alone makes no products: they do not count as missing.
    whole = stages.process or not stages.fetch
    codes += gone_policy.exit_codes(subset, snapshot, whole=whole)
    return most_severe(codes)


def _describe(error: BaseException) -> str:
    if isinstance(error, SacoError):
        return str(error)
    lines = "".join(traceback.format_exception(error))
    return f"this is a bug in saco-data, please report it:\n{lines}"
