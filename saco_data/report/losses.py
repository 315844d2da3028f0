"""What was lost, by reason, with the words of the sources; and what runs changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saco_data.dataset.pairs import plain
from saco_data.model import words
from saco_data.model.items import Item
from saco_data.model.outside import without_secrets
from saco_data.model.reasons import Reason, State

MAX_MESSAGES = 3  # of the source, for each reason and subset


@dataclass
class Loss:
    """What was lost for one reason. `messages`: (subset, the source's message, example, count)."""

    reason: Reason
    count: int = 0
    subsets: Counter[str] = field(default_factory=Counter)
    messages: list[tuple[str, str, str, int]] = field(default_factory=list)


def note_losses(losses: dict[Reason, Loss], subset: str, items: Mapping[str, Item]) -> None:
    """Adds the losses of a subset."""
    counts: dict[Reason, Counter[str]] = {}
    examples: dict[tuple[Reason, str], str] = {}
    for key, item in items.items():
        if item.state in (State.DONE, State.PENDING):
            continue
        loss = losses.setdefault(item.reason, Loss(item.reason))
        loss.count += 1
        loss.subsets[subset] += 1
        message = plain(without_secrets(item.detail)[:300])
        counts.setdefault(item.reason, Counter())[message] += 1
        examples.setdefault((item.reason, message), plain(key))
    for reason, messages in counts.items():
        for message, count in messages.most_common(MAX_MESSAGES):
            example = examples[reason, message]
            losses[reason].messages.append((subset, message, example, count))


def list_changes(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a run changed in each subset, as (state, text) for each kind of outcome."""
    shown = []
    for subset, kinds in run["changes"].items():
        chips: list[tuple[str, str]] = []
        for kind, value in kinds.items() if isinstance(kinds, dict) else ():
            if kind == "annotations":
                chips.append((State.PENDING.value, "annotation file changed"))
            elif isinstance(value, dict):
                by_reason = Counter(map(str, value.values()))
                chips += [_chip(reason, count) for reason, count in by_reason.most_common()]
            elif count := len(value) if isinstance(value, list) else value:
                chips.append(_chip(str(kind), count))
        chips.sort(key=lambda chip: chip[0] != State.DONE.value)  # what is ready stands first
        if chips:
            shown.append((str(subset), chips))
    return shown


def _chip(kind: str, count: int) -> tuple[str, str]:
    try:
        state = Reason.of(kind).state
    except ValueError:
        # Not a reason: made, returned, repaired.
        state = State.DONE
    return state.value, f"{count:,} {words.reason(kind)}"
