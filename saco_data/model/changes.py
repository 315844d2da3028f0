"""What a run changed, in words that matter to who uses the benchmark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from saco_data.model.items import Change
from saco_data.model.reasons import Reason, State


@dataclass
class Changes:
    """What became of the products of one subset; an item appears once, as it ended.

    `made`: for the first time. `returned`: it was gone. `repaired`: it was done and had rotted or
    was lost. `gone`, `failed`, `blocked`: newly so, with the reason. `annotations`: the sha256 of
    the file before and now, if it is another one, with the products that it added and dropped.
    """

    before: dict[str, Reason | None] = field(default_factory=dict)
    after: dict[str, Reason] = field(default_factory=dict)
    was_made: set[str] = field(default_factory=set)
    annotations: dict[str, Any] = field(default_factory=dict)

    def add(self, changes: Iterable[Change]) -> None:
        """Takes note of what the ledger says outcomes changed."""
        for change in changes:
            if change.is_asset:
                continue
            self.before.setdefault(change.key, change.before)
            self.after[change.key] = change.after
            if change.made:
                self.was_made.add(change.key)

    def made(self) -> int:
        """How many products there are for the first time."""
        return sum(
            after is Reason.OK and not self._was_gone(key) and key not in self.was_made
            for key, after in self.after.items()
        )

    def returned(self) -> list[str]:
        """Products that were gone and are there again."""
        return [
            key for key, after in self.after.items() if after is Reason.OK and self._was_gone(key)
        ]

    def repaired(self) -> list[str]:
        """Products that had been there, were damaged or lost, and are whole again."""
        return [
            key
            for key, after in self.after.items()
            if after is Reason.OK and key in self.was_made and not self._was_gone(key)
        ]

    def newly(self, state: State) -> dict[str, Reason]:
        """Products that have come into a state, with their reasons."""
        return {
            key: after
            for key, after in self.after.items()
            if after.state is state and not self._was(key, state)
        }

    def as_json(self) -> dict[str, Any]:
        """Plain data; only what there is."""
        content = {
            "made": self.made(),
            "returned": self.returned(),
            "repaired": self.repaired(),
            **{each.value: self.newly(each) for each in (State.GONE, State.FAILED, State.BLOCKED)},
            "annotations": self.annotations,
        }
        return {name: value for name, value in content.items() if value}

    def in_words(self) -> list[str]:
        """One phrase for each kind of change that there is."""
        counts = [
            (self.made(), "made"),
            (len(self.returned()), "came back"),
            (len(self.repaired()), "repaired"),
            (len(self.newly(State.GONE)), "newly gone"),
            (len(self.newly(State.FAILED)), "failed"),
            (len(self.newly(State.BLOCKED)), "blocked"),
        ]
        words = [f"{count} {what}" for count, what in counts if count]
        return [*words, *(["other annotations"] if self.annotations else [])]

    def _was(self, key: str, state: State) -> bool:
        before = self.before[key]
        return before is not None and before.state is state

    def _was_gone(self, key: str) -> bool:
        return self._was(key, State.GONE)
