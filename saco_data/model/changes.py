"""The changes that a run made to a subset, as users see them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from saco_data.model.items import Change
from saco_data.model.reasons import Reason, State


@dataclass
class Changes:
    """The changes of the products of one subset: each with its first and last reason in the run.

    `made`: products made for the first time. `returned`: gone before. `repaired`: done before, then
    damaged or lost. `replaced`: sound before, and now made from the new version of their source.
    `gone`, `failed`, `blocked`: newly in this state, with the reason. `annotations`: if the file
    changed, its sha256 before and now, and the numbers of products that were added and dropped.
    """

    before: dict[str, Reason | None] = field(default_factory=dict)
    after: dict[str, Reason] = field(default_factory=dict)
    was_made: set[str] = field(default_factory=set)
    was_sound: set[str] = field(default_factory=set)
    annotations: dict[str, Any] = field(default_factory=dict)

    def add(self, changes: Iterable[Change]) -> None:
        """Adds the changes that the ledger reports for recorded outcomes."""
        for change in changes:
            if change.is_asset:
                continue
            self.before.setdefault(change.key, change.before)
            self.after[change.key] = change.after
            if change.made:
                self.was_made.add(change.key)
            if change.renewed and self.before[change.key] is Reason.OK:
                self.was_sound.add(change.key)
            elif change.after is not Reason.OK:
                self.was_sound.discard(change.key)

    def made(self) -> int:
        """The number of products made for the first time."""
        return sum(
            after is Reason.OK and not self._was_gone(key) and key not in self.was_made
            for key, after in self.after.items()
        )

    def returned(self) -> list[str]:
        """Names of products that were gone and are done now."""
        return [
            key for key, after in self.after.items() if after is Reason.OK and self._was_gone(key)
        ]

    def repaired(self) -> list[str]:
        """Names of products that were done, then damaged or lost, and are done again."""
        return [
            key
            for key, after in self.after.items()
            if after is Reason.OK
            and key in self.was_made
            and key not in self.was_sound
            and not self._was_gone(key)
        ]

    def replaced(self) -> list[str]:
        """Names of products that were sound, and were made again from a new version."""
        return [key for key in self.after if key in self.was_sound]

    def newly(self, state: State) -> dict[str, Reason]:
        """Names of products that are in a state now and were not before, with their reasons."""
        return {
            key: after
            for key, after in self.after.items()
            if after.state is state and not self._was(key, state)
        }

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`, without empty entries."""
        content = {
            "made": self.made(),
            "returned": self.returned(),
            "repaired": self.repaired(),
            "replaced": self.replaced(),
            **{
                state.value: self.newly(state)
                for state in (State.GONE, State.FAILED, State.BLOCKED)
            },
            "annotations": self.annotations,
        }
        return {name: value for name, value in content.items() if value}

    def in_words(self) -> list[str]:
        """A phrase for each kind of change in this run."""
        counts = [
            (self.made(), "made"),
            (len(self.returned()), "came back"),
            (len(self.repaired()), "repaired"),
            (len(self.replaced()), "followed to a new version"),
            (len(self.newly(State.GONE)), "newly gone"),
            (len(self.newly(State.FAILED)), "failed"),
            (len(self.newly(State.BLOCKED)), "blocked"),
        ]
        phrases = [f"{count} {what}" for count, what in counts if count]
        return [*phrases, *(["other annotations"] if self.annotations else [])]

    def _was(self, key: str, state: State) -> bool:
        before = self.before[key]
        return before is not None and before.state is state

    def _was_gone(self, key: str) -> bool:
        return self._was(key, State.GONE)
