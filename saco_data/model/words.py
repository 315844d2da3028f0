"""Formats numbers, times, reasons and text from outside for people."""

from __future__ import annotations

from datetime import UTC, datetime

from saco_data.model.outside import label


def number(value: int) -> str:
    """An integer with thousands separators: 46,421."""
    return f"{value:,}"


def when(value: int | None, *, seconds: bool = False) -> str:
    """Seconds since the epoch as a date and time, UTC."""
    if value is None:
        return ""
    return datetime.fromtimestamp(value, UTC).strftime(f"%Y-%m-%d %H:%M{':%S' * seconds}")


def lasting(seconds: float) -> str:
    """A duration: 3 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return f"{hours // 24} d {hours % 24} h" if hours >= 48 else f"{hours} h {minutes:02d} min"


def percent(part: float, whole: float = 1) -> str:
    """A share; 100 % only if `part` is all of `whole`, 0 % only if `part` is 0."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.01:
        return "<0.01 %"
    if 0 < share < 1:
        return f"{share:.2g} %"
    return f"{int(share * 10) / 10:.1f} %" if 99 < share < 100 else f"{share:.0f} %"


def reason(value: str) -> str:
    """The value of a reason as text: not in archive."""
    return "ready" if value == "ok" else value.replace("_", " ")


# How a run ended, by its exit code; None for a killed run.
ENDINGS: dict[int | None, str] = {
    0: "complete",
    1: "a bug",
    2: "wrong config",
    3: "incomplete, run again",
    4: "something waits for you",
    5: "disk full",
    6: "another run was at work",
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM",
    None: "did not end",
}


def human(size: int) -> str:
    """A size in bytes: 1.4 GB."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 99.5 else f"{number:.1f} {unit}"


def plain(text: str) -> str:
    """Text from outside, safe to print: U+FFFD for what would hide, break or turn round a line."""
    return label(text)
