"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"  # a run may do well with it
    FAIL = "fail"  # something will not be prepared before the user acts


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the `name` of what was looked at, what it is like, and what to do about it."""

    name: str
    verdict: Verdict
    what: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Plain data for `--json`."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "what": self.what,
            "remedy": self.remedy,
        }


def ok(name: str, what: str) -> Finding:
    """All is well."""
    return Finding(name, Verdict.OK, what)


def warn(name: str, what: str, remedy: str) -> Finding:
    """It may do, but should be looked at."""
    return Finding(name, Verdict.WARN, what, remedy)


def fail(name: str, what: str, remedy: str) -> Finding:
    """It will not do."""
    return Finding(name, Verdict.FAIL, what, remedy)
