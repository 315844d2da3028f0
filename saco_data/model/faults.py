"""Everything that is wrong with the files a user gave, named at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from saco_data.model.errors import UsageError

# A longer list says nothing more on a screen; `FaultsFound.faults` holds all.
_SHOWN = 10


@dataclass(frozen=True, order=True)
class Fault:
    """What is wrong with one file or folder: `kind` is what faults are grouped by."""

    kind: str
    where: str
    detail: str = ""


class FaultsFound(UsageError):
    """Files that cannot be used as they are: `faults` are all of them."""

    faults: Sequence[Fault] = ()

    @classmethod
    def from_faults(
        cls, what: str, faults: Sequence[Fault], *, item: str, remedy: str
    ) -> FaultsFound:
        """The error whose text names the faults, grouped by kind, after what to do."""
        kinds = Counter(fault.kind for fault in faults)
        lines = []
        for kind, count in kinds.most_common():
            lines.append(f"\n  {kind}: {count}")
            named = [fault for fault in faults if fault.kind == kind]
            lines += [_line(fault) for fault in named[:_SHOWN]]
            if count > _SHOWN:
                lines.append(f"\n    and {count - _SHOWN} more")
        number = f"{len(faults)} fault{'s' * (len(faults) > 1)}"
        error = cls(f"{what}: {number}", item=item, remedy=remedy + "".join(lines))
        error.faults = tuple(faults)
        return error


def _line(fault: Fault) -> str:
    return f"\n    {fault.where}" + (f" ({fault.detail})" if fault.detail else "")
