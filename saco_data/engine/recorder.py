"""Posts the outcomes of one subset's run to the thread that writes the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from saco_data.engine import verify
from saco_data.engine.events import Event, Learned, Stages
from saco_data.engine.subset import Subset
from saco_data.executors import Executor
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Effect, State
from saco_data.model.records import Asset, Outcome, Product
from saco_data.planning.decisions import SubsetPlan

_log = logging.getLogger(__name__)


class Recorder:
    """Records outcomes: those of products, and those of assets with all their products.

    `post` hands an event to the thread of the ledger. Safe to call from any thread.
    """

    def __init__(
        self,
        subset: Subset,
        plan: SubsetPlan,
        *,
        stages: Stages,
        executor: Executor,
        post: Callable[[Event], None],
    ) -> None:
        self.subset = subset
        self.plan = plan
        self.stages = stages
        self.executor = executor
        self.post = post
        self._renewed_assets = set(plan.renewed.values())
        self._unusable: dict[str, Outcome] = {}

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Records outcomes, without those that would replace a finished product by a failure."""
        recorded = [
            self._with_first_cause(outcome)
            for outcome in outcomes
            if not self._keeps_finished(outcome)
        ]
        if recorded:
            self.post(Learned(self.subset.id, recorded))

    def record_unusable(self, outcomes: Iterable[Outcome]) -> None:
        """Records that the raw file on disk cannot be used; another copy is fetched next.

        If that fails, what is wrong with the file on disk stays the reason.
        """
        told = list(outcomes)
        self.record(told)
        self._unusable |= {outcome.key: outcome for outcome in told}

    def record_asset(self, outcome: Outcome, asset: Asset) -> None:
        """Records that an asset could not be fetched, for itself and for each of its products."""
        self.record(self._spread(outcome, asset))

    def record_blocked(self, assets: Iterable[Asset], blocked: Blocked) -> None:
        """Records the remaining assets as blocked, without counting an attempt."""
        self.record(
            Outcome(self.subset.id, product.file_name, blocked.reason, str(blocked), tried=False)
            for asset in assets
            for product in self._find_missing(asset)
        )

    def check(self, products: Iterable[Product]) -> Iterable[Outcome]:
        """Verifies files of products that the ledger does not know as done."""
        digests = ((product, self.plan.digests.get(product.file_name)) for product in products)
        return verify.check_all(self.subset, digests, self.executor)

    def _with_first_cause(self, outcome: Outcome) -> Outcome:
        first = None if outcome.is_asset else self._unusable.get(outcome.key)
        if (
            first is None
            or outcome.state in (State.DONE, State.GONE)
            or outcome.reason.has(Effect.DISCARD_RAW)
        ):
            return outcome
        why = outcome.detail or outcome.reason.sentence
        detail = f"{first.detail}; another copy could not be fetched: {why}"
        return replace(first, detail=detail, tried=False)

    def _spread(self, outcome: Outcome, asset: Asset) -> Iterable[Outcome]:
        facts = dict(outcome.facts)
        if outcome.state is State.GONE:
            facts["place"] = self.subset.source.location_without_secrets()
        if self.subset.manifest.frames:
            yield replace(outcome, facts=facts)
        for product in self._find_missing(asset):
            yield replace(outcome, key=product.file_name, is_asset=False, facts=facts)

    def _find_missing(self, asset: Asset) -> list[Product]:
        """The products of an asset that cannot be fetched, without those whose files are sound.

        Sound files that the ledger does not know as done exist where the ledger was lost, or where
        a disk did not answer in an earlier run.
        """
        unverified = [
            product for product in asset.products if product.file_name in self.plan.unverified
        ]
        if not (unverified and self.stages.process):
            return list(asset.products)
        sound = [outcome for outcome in self.check(unverified) if outcome.state is State.DONE]
        self.record(sound)
        names = {outcome.key for outcome in sound}
        return [product for product in asset.products if product.file_name not in names]

    def _keeps_finished(self, outcome: Outcome) -> bool:
        """Whether a finished product stays as it is, because its replacement cannot be used."""
        if outcome.state is State.DONE:
            return False
        if outcome.is_asset:
            return outcome.key in self._renewed_assets
        if outcome.key not in self.plan.renewed:
            return False
        _log.warning(
            "%s: the finished file is kept: the source has another version, but %s",
            outcome.key,
            outcome.detail or outcome.reason,
            extra={"subset": self.subset.id},
        )
        return True
