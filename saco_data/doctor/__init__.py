"""`saco doctor`: small checks, each with a line that says "ok" or what to do.

A check yields findings and raises no error. It may write temporary files into the user's folders,
and shows no secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saco_data.config.settings import Settings, exposed_secrets
from saco_data.engine.subset import Subset, bind
from saco_data.model.errors import SacoError
from saco_data.model.finding import Finding, Verdict, fail, warn

__all__ = ["Finding", "Verdict", "examine"]


def examine(settings: Settings, names: Sequence[str], *, online: bool) -> Iterator[Finding]:
    """All findings for some subsets; `online` sends one harmless request to each source."""
    from saco_data.doctor import access, machine, network, shared_copy
    from saco_data.engine.status import is_of_somebody_else

    yield Finding("config", Verdict.OK, str(settings.file or "built-in values"))
    if exposed := exposed_secrets(settings):
        what = f"others on this machine can read it, and it holds {', '.join(exposed)}"
        yield warn("secrets", what, f"Run `chmod 600 {settings.file}`, or use the environment")
    subsets = bind(settings, names)
    try:
        complete = _find_complete(settings, subsets)
    except SacoError as error:
        yield Finding("ledger", Verdict.FAIL, error.what, error.remedy)
        return
    waiting = [subset for subset in subsets if subset.id not in complete]
    yield from (Finding(name, Verdict.OK, "complete: nothing more is needed") for name in complete)
    if is_of_somebody_else(settings):
        yield from shared_copy.examine(settings, waiting)
        return  # credentials, sources and disk are its owner's
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


def _find_complete(settings: Settings, subsets: Sequence[Subset]) -> list[str]:
    """The ids of the complete subsets."""
    from saco_data.engine import status
    from saco_data.state.ledger import Ledger

    with Ledger(settings.state, read_only=True) as ledger:
        states = [status.describe(subset, ledger.snapshot(subset.id)) for subset in subsets]
    return [state.subset for state in states if state.complete]
