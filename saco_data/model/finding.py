"""The findings of `saco doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from saco_data.model.outside import without_secrets


class Verdict(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"  # a run may still succeed
    FAIL = "fail"  # something cannot be prepared until the user acts


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the `name` of what was checked, its state (`what`), and the `remedy`."""

    name: str
    verdict: Verdict
    what: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Plain data for `--json`."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "what": without_secrets(self.what),
            "remedy": without_secrets(self.remedy),
        }


def ok(name: str, what: str) -> Finding:
    """A finding without a problem."""
    return Finding(name, Verdict.OK, what)


def warn(name: str, what: str, remedy: str) -> Finding:
    """A finding that may become a problem."""
    return Finding(name, Verdict.WARN, what, remedy)


def fail(name: str, what: str, remedy: str) -> Finding:
    """A finding that prevents the preparation of something."""
    return Finding(name, Verdict.FAIL, what, remedy)
