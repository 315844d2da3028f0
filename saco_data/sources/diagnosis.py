"""Checks that sources share for `saco doctor`: addresses, links, local archives, programs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from saco_data.config.installation import pip_command
from saco_data.config.regular import require_regular
from saco_data.model.errors import UsageError
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.model.reasons import State
from saco_data.transports.link_expiry import expiry, when

if TYPE_CHECKING:
    from saco_data.sources.base import Source

CONNECT_SECONDS = 8.0
REMEDY = "Check the network and the proxy, or run `saco doctor --online` again"
DAY = 86400.0
SOON_DAYS = 2
OLD_DAYS = 90  # YouTube changes more often
# The first bytes of zip and gzip files; the mark of a plain tar is at an offset.
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")
_TAR_MARK = (257, b"ustar")


def check_address(source: Source, url: str | None) -> Finding:
    """Whether the host of a URL answers. Sends one request."""
    name = f"{source.name} online"
    if url is None:
        return ok(name, "nothing to ask: it is on this machine, or not named yet")
    from saco_data.transports.base import Failure, Policy
    from saco_data.transports.http import Http

    host = host_of(url)
    policy = Policy(
        concurrency=1, attempts=1, connect_timeout=CONNECT_SECONDS, stall_timeout=CONNECT_SECONDS
    )
    try:
        with Http(policy) as http:
            http.open(url)
    except Failure as failure:
        if source.probe_may_be_missing and failure.reason.state is State.GONE:
            return ok(name, f"{host} answers")
        return warn(name, f"{host}: {failure.what}", REMEDY)
    return ok(name, f"{host} answers")


def check_link(name: str, url: str, renew: str) -> Finding:
    """Whether a link has expired or soon will; sends no request."""
    ends = expiry(url)
    if ends is None:
        return ok(name, f"from {host_of(url)}")
    if ends < time.time():
        return fail(name, f"the link expired on {when(ends)}", renew)
    if ends < time.time() + SOON_DAYS * DAY:
        return warn(name, f"the link expires on {when(ends)}", renew)
    return ok(name, f"from {host_of(url)}, link good until {when(ends)}")


def check_local(name: str, raw: Path) -> Finding:
    """Whether a folder has files, or a file begins like an archive."""
    try:
        if raw.is_dir():
            if next(raw.iterdir(), None) is None:
                return fail(name, f"{raw} is empty", "Extract the archive there again")
            return ok(name, f"folder {raw}")
        require_regular(raw)
        with raw.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        return fail(name, f"{raw} cannot be read ({error.strerror})", "Make it readable")
    at, mark = _TAR_MARK
    if not head.startswith(_MAGIC) and head[at : at + len(mark)] != mark:
        from saco_data.transports.archive.kinds import describe

        what, remedy = describe(head, str(raw))
        return fail(name, f"{raw} {what}", remedy)
    return ok(name, f"archive {raw}")


def check_program(program: str) -> Finding:
    """Whether an official client is installed."""
    from saco_data.transports.official import processes

    try:
        return ok(program, processes.find(program))
    except UsageError as error:
        return fail(program, error.what, error.remedy)


def check_yt_dlp() -> Iterator[Finding]:
    """Findings about the age of yt-dlp and its JavaScript runtime."""
    from yt_dlp.version import __version__

    renew = f"Run `{pip_command()} install --upgrade 'yt-dlp[default,deno]'`"
    days = age_days(__version__)
    if days is None:
        yield warn("yt-dlp", f"version {__version__}, which is not a date", renew)
    elif days > OLD_DAYS:
        yield warn("yt-dlp", f"version {__version__} is {days:.0f} days old", renew)
    else:
        yield ok("yt-dlp", f"version {__version__}")
    yield _check_deno(f"{renew}, or install deno")


def _check_deno(install: str) -> Finding:
    try:
        from yt_dlp.utils._jsruntime import DenoJsRuntime

        runtime = DenoJsRuntime().info
    except (ImportError, OSError):
        runtime = None
    if runtime is None:
        return warn("deno", "no JavaScript runtime: many YouTube videos will fail", install)
    if not runtime.supported:
        return warn("deno", f"version {runtime.version} is too old for yt-dlp", install)
    return ok("deno", f"version {runtime.version}")


def age_days(version: str) -> float | None:
    """The age in days of a version of yt-dlp (`2025.01.31`); None if it is not a date."""
    try:
        made = time.mktime(time.strptime(".".join(version.split(".")[:3]), "%Y.%m.%d"))
    except ValueError:
        return None
    return (time.time() - made) / DAY


def host_of(url: str) -> str:
    """The host of a URL; the rest may contain secrets."""
    return urlsplit(url).hostname or "?"
