"""`saco doctor`: small checks, each a line that says what is well or what to do.

A check is a function that yields findings and raises nothing. It writes into the user's folders
for the moment of the check only, and prints no secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset, bind
from saco_data.model.errors import SacoError
from saco_data.model.finding import Finding, Verdict, fail

__all__ = ["Finding", "Verdict", "examine"]


def examine(settings: Settings, names: Sequence[str], *, online: bool) -> Iterator[Finding]:
    """All findings for some subsets; `online` sends one harmless request to each source."""
    from saco_data.doctor import access, machine, network

    yield Finding("config", Verdict.OK, str(settings.file or "built-in values"))
    subsets = bind(settings, names)
    try:
        complete = _complete(settings, subsets)
    except SacoError as error:
        yield Finding("ledger", Verdict.FAIL, error.what, error.remedy)
        return
    waiting = [subset for subset in subsets if subset.id not in complete]
    yield from (Finding(each, Verdict.OK, "complete: nothing more is needed") for each in complete)
    if waiting:
        yield from access.examine(settings, waiting)
        for subset in waiting:
            yield from _diagnose(subset)
    yield from machine.examine(settings, subsets)
    if online:
        yield from network.examine(settings, subsets)


def _diagnose(subset: Subset) -> Iterator[Finding]:
    try:
        yield from subset.source.diagnose()
    except SacoError as error:
        yield fail(subset.id, error.what, error.remedy)


def _complete(settings: Settings, subsets: Sequence[Subset]) -> list[str]:
    from saco_data.engine import status
    from saco_data.state.ledger import Ledger

    with Ledger(settings.state, read_only=True) as ledger:
        found = [status.describe(subset, ledger.snapshot(subset.id)) for subset in subsets]
    return [each.subset for each in found if each.complete]
