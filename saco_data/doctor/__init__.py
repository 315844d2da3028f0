"""`saco doctor`: small checks, each a line that says what is well or what to do.

A check is a function that yields findings and raises nothing; none of them writes into the user's
folders for longer than it takes to look, or says anything secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saco_data.config.settings import Settings
from saco_data.model.errors import SacoError
from saco_data.model.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]


def examine(settings: Settings, subsets: Sequence[str], *, online: bool) -> Iterator[Finding]:
    """All findings for some subsets; `online` asks each source for one harmless thing."""
    from saco_data.doctor import access, machine, network, tools

    yield Finding("config", Verdict.OK, str(settings.file or "built-in values"))
    try:
        complete = _complete(settings, subsets)
    except SacoError as error:
        yield Finding("ledger", Verdict.FAIL, error.what, error.remedy)
        return
    waiting = [subset for subset in subsets if subset not in complete]
    yield from (Finding(each, Verdict.OK, "complete: nothing more is needed") for each in complete)
    if waiting:
        yield from access.examine(settings, waiting)
        yield from tools.examine(settings, waiting)
    yield from machine.examine(settings, subsets)
    if online:
        yield from network.examine(settings, subsets)


def _complete(settings: Settings, subsets: Sequence[str]) -> list[str]:
    from saco_data.engine import status
    from saco_data.state.ledger import Ledger

    with Ledger(settings.state, read_only=True) as ledger:
        found = status.read(settings, ledger, subsets)
    return [each.subset for each in found.subsets if each.complete]
