"""`saco diff A B`: what one copy has and the other lacks, by the reason that the other gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saco_data.model.errors import UsageError
from saco_data.share.copies import Copy
from saco_data.share.matching import Description, judge_pair

UNKNOWN = "unknown"
ByReason = dict[str, list[str]]


@dataclass(frozen=True)
class SubsetDiff:
    """Files by name. `only_b`: what B has and A lacks, by the reason that A gives; `only_a` the
    other way round. `pictures`: of files that both have, those whose pictures are not the same, by
    verdict, where both copies were given by locks.
    """

    both: int
    only_a: ByReason
    only_b: ByReason
    same_annotations: bool | None
    pictures: ByReason = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return vars(self)


def diff(a: Copy, b: Copy, subsets: Iterable[str]) -> dict[str, SubsetDiff]:
    """The difference of two copies in each subset that at least one of them has.

    Raises UsageError where neither has any.
    """
    found = {
        name: _diff_subset(a, b, name) for name in subsets if name in a.names or name in b.names
    }
    if not found:
        raise UsageError("neither copy has any of these subsets", remedy="Name other ones")
    return found


def _diff_subset(a: Copy, b: Copy, subset: str) -> SubsetDiff:
    in_a, in_b = a.names.get(subset, frozenset()), b.names.get(subset, frozenset())
    digests = a.annotations.get(subset), b.annotations.get(subset)
    return SubsetDiff(
        len(in_a & in_b),
        _by_reason(in_a - in_b, b.missing.get(subset, {})),
        _by_reason(in_b - in_a, a.missing.get(subset, {})),
        None if None in digests else digests[0] == digests[1],
        _judge(in_a & in_b, a.pictures.get(subset), b.pictures.get(subset)),
    )


def _by_reason(names: Iterable[str], reasons: Mapping[str, str]) -> ByReason:
    found: ByReason = {}
    for name in sorted(names):
        found.setdefault(reasons.get(name, UNKNOWN), []).append(name)
    return found


def _judge(
    names: Iterable[str],
    a: Mapping[str, Description] | None,
    b: Mapping[str, Description] | None,
) -> ByReason:
    found: ByReason = {}
    if a is None or b is None:
        return found
    for name in sorted(names):
        if a[name].sha256 != b[name].sha256:
            found.setdefault(judge_pair(a[name], b[name]).verdict.value, []).append(name)
    return found
