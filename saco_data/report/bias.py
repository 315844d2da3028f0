"""Whether the pictures that are missing differ from the others more than chance explains.

For each trait a rank test within subsets (van Elteren's, with equal weights): the ranks of missing
pictures are summed and compared with what a random choice of as many pictures of each subset would
give (its mean and variance are known exactly, the distribution is taken as normal). For a category
the trait is the number of its phrases. p-values are corrected for the number of tests (Holm).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from saco_data.report.contents import TRAITS, Unit

FEWEST = 5  # missing and ready units that a test needs
LEVEL = 0.05
MAX_CATEGORIES = 100  # the most frequent ones that are tested


@dataclass(frozen=True)
class Trait:
    """A comparison: means among ready and missing units, p after correction (None: too few)."""

    name: str
    ready: float
    missing: float
    p: float | None

    @property
    def differs(self) -> bool:
        """Whether chance is no good explanation."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Category:
    """A category: its image-NPs, those that are missing, and p as in `Trait`."""

    name: str
    total: int
    missing: int
    p: float | None

    @property
    def differs(self) -> bool:
        """Whether chance is no good explanation."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Bias:
    """The result. `compared`: (ready, missing) units of subsets that have both."""

    compared: tuple[int, int]
    traits: list[Trait]
    categories: list[Category]

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
        ready, missing = self.compared
        p_values = [*(each.p for each in self.traits), *(each.p for each in self.categories)]
        tested = [p for p in p_values if p is not None]
        if not tested:
            return (
                f"Too few to tell: a test needs {FEWEST} missing and {FEWEST} ready pictures or"
                f" videos of the same subsets; there are {missing:,} and {ready:,}."
            )
        found = [each.name for each in self.traits if each.differs]
        found += [f"category {each.name}" for each in self.categories if each.differs]
        if not found:
            return (
                f"No sign of bias: none of {len(tested)} tests finds a difference that chance"
                " does not explain. A small bias could still be there."
            )
        named = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        return f"The loss is biased: missing and ready pictures differ by {named}."


def compare(units: Sequence[Unit]) -> Bias:
    """Compares missing with ready units, each within its subset."""
    groups: dict[str, list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.subset, []).append(unit)
    strata = [each for each in groups.values() if len({unit.is_missing for unit in each}) == 2]
    both = [unit for each in strata for unit in each]
    missing = sum(unit.is_missing for unit in both)
    counts, lost = Counter[str](), Counter[str]()
    for unit in units:
        counts.update(unit.categories)
        if unit.is_missing:
            lost.update(unit.categories)
    names = [name for name, _ in counts.most_common(MAX_CATEGORIES)]
    values: list[Callable[[Unit], float | None]] = [
        *(lambda unit, at=at: unit.traits[at] for at in range(len(TRAITS))),
        *(lambda unit, name=name: unit.categories[name] for name in names),
    ]
    # A lone category is in every picture: its number of phrases is the first trait.
    skipped = {len(TRAITS)} if len(names) == 1 else set()
    p = correct([None if at in skipped else _test(strata, of) for at, of in enumerate(values)])
    traits = [Trait(name, *_means(both, values[at]), p[at]) for at, name in enumerate(TRAITS)]
    categories = [
        Category(name, counts[name], lost[name], p[len(TRAITS) + at])
        for at, name in enumerate(names)
    ]
    categories.sort(key=lambda each: (-each.missing / each.total, -each.missing, each.name))
    return Bias((len(both) - missing, missing), traits, categories)


def correct(values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction of p-values; None stays None."""
    order = sorted((value, at) for at, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, at) in enumerate(order):
        largest = max(largest, min(1.0, value * (len(order) - rank)))
        corrected[at] = largest
    return corrected


def _means(units: Sequence[Unit], of: Callable[[Unit], float | None]) -> tuple[float, float]:
    """The means among ready and among missing units; NaN where there are none."""
    sides: tuple[list[float], list[float]] = ([], [])
    for unit in units:
        if (value := of(unit)) is not None:
            sides[unit.is_missing].append(value)
    ready, missing = (sum(side) / len(side) if side else math.nan for side in sides)
    return ready, missing


def _test(strata: Sequence[Sequence[Unit]], of: Callable[[Unit], float | None]) -> float | None:
    """The two-sided p-value; None for too few units, or where all have the same value."""
    difference = variance = 0.0
    counts = [0, 0]
    for units in strata:
        known = [(value, unit.is_missing) for unit in units if (value := of(unit)) is not None]
        lost = np.array([is_missing for _, is_missing in known], bool)
        size, few = len(known), int(lost.sum())
        # Equal values say nothing, and rounding would give them a variance.
        if not 0 < few < size or len({value for value, _ in known}) == 1:
            continue
        ranks = rankdata([value for value, _ in known]) / size
        counts[0] += size - few
        counts[1] += few
        difference += float(ranks[lost].sum() - few * ranks.mean())
        variance += few * (size - few) / size * float(ranks.var(ddof=1))
    if min(counts) < FEWEST or variance <= 0:
        return None
    return math.erfc(abs(difference) / math.sqrt(2 * variance))
