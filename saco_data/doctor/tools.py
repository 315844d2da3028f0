"""The programs that are used: yt-dlp, its JavaScript runtime, the official clients."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from saco_data.config.settings import Settings
from saco_data.model.errors import UsageError
from saco_data.model.finding import Finding, fail, ok, warn

OLD_DAYS = 90  # YouTube changes more often than that
_CLIENTS = (("droid", "gsutil", "gsutil"), ("ego4d", "ego4d-cli", "ego4d"))


def examine(settings: Settings, subsets: Sequence[str]) -> Iterator[Finding]:
    """Findings for the programs that these subsets use."""
    if "yt1b" in subsets:
        yield _yt_dlp()
        yield _javascript()
    for subset, transport, program in _CLIENTS:
        if subset in subsets and settings.transport(subset) == transport:
            yield _client(program)


def _yt_dlp() -> Finding:
    from yt_dlp.version import __version__

    renew = "Run `pip install --upgrade 'yt-dlp[default,deno]'`"
    days = age_days(__version__)
    if days is None:
        return warn("yt-dlp", f"version {__version__}, which is no date", renew)
    if days > OLD_DAYS:
        return warn("yt-dlp", f"version {__version__} is {days:.0f} days old", renew)
    return ok("yt-dlp", f"version {__version__}")


def age_days(version: str) -> float | None:
    """The age of a version of yt-dlp, whose first three parts are a date; None if they are not."""
    try:
        made = time.mktime(time.strptime(".".join(version.split(".")[:3]), "%Y.%m.%d"))
    except ValueError:
        return None
    return (time.time() - made) / 86400


def _javascript() -> Finding:
    """The runtime that yt-dlp itself would use."""
    install = "Run `pip install --upgrade 'yt-dlp[default,deno]'`, or install deno"
    try:
        from yt_dlp.utils._jsruntime import DenoJsRuntime

        found = DenoJsRuntime().info
    except (ImportError, OSError):
        found = None
    if found is None:
        return warn("deno", "no JavaScript runtime: many YouTube videos will fail", install)
    if not found.supported:
        return warn("deno", f"version {found.version} is too old for yt-dlp", install)
    return ok("deno", f"version {found.version}")


def _client(program: str) -> Finding:
    from saco_data.transports.official import processes

    try:
        return ok(program, processes.find(program))
    except UsageError as error:
        return fail(program, error.what, error.remedy)
