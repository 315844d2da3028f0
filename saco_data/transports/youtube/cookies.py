"""Checks a browser's cookies file before it is used. No message contains a cookie's value."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from saco_data.config.regular import require_regular
from saco_data.model.reasons import Reason

_HEADER = re.compile(r"#( Netscape)? HTTP Cookie File")
_FIELDS = 7
_SHOWN = 3  # odd lines that are named
_EXPORT = "Export the cookies of a logged-in YouTube session again, in Netscape format"
# A logged-in session has the first cookie and at least one of the others.
_LOGIN = "LOGIN_INFO"
_ACCOUNT = ("SAPISID", "__Secure-1PAPISID", "__Secure-3PAPISID")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a cookies file, and what to do.

    `reason` is CREDENTIALS_MISSING if the file cannot be used at all, CREDENTIALS_EXPIRED if its
    login has expired, None for a warning.
    """

    what: str
    remedy: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class _Cookie:
    name: str
    value: str
    expires: float  # 0: with the browser session


def check_cookies(path: Path) -> list[Problem]:
    """The problems of a cookies file in Netscape format."""
    problems: list[Problem] = []
    try:
        if path.stat().st_mode & 0o077:
            problems.append(Problem("others can read it", f"Run: chmod 600 {path}"))
    except OSError:
        pass  # reading the file fails too, and says why
    try:
        cookies, odd = _youtube_cookies(read_cookies(path))
    except _UnusableError as error:
        return [*problems, error.problem]
    problems += [Problem(f"{each.what}; the line is skipped", each.remedy) for each in odd[:_SHOWN]]
    if not cookies:
        problems.append(Problem("it holds no cookie of youtube.com", _EXPORT))
        return problems
    now = time.time()
    login = cookies.get(_LOGIN)
    accounts = [cookies[name] for name in _ACCOUNT if name in cookies]
    if login is None or not accounts:
        problems.append(Problem("its YouTube session is not logged in", _EXPORT))
    else:
        # The session ends with its login, or with the last of its account cookies.
        ends = [login.expires, max((c.expires or float("inf")) for c in accounts)]
        end = min(end or float("inf") for end in ends)
        if end < now:
            day = time.strftime("%Y-%m-%d", time.gmtime(end))
            problems.append(
                Problem(f"its login expired on {day}", _EXPORT, Reason.CREDENTIALS_EXPIRED)
            )
    return problems


def read_cookies(path: Path) -> str:
    """The text of a cookies file that `check_cookies` found usable, with plain line ends."""
    try:
        require_regular(path)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _UnusableError(
            f"it cannot be read ({error.strerror})", "Correct cookies_path, or remove it"
        ) from error
    except UnicodeDecodeError:
        raise _UnusableError("it is not text", _EXPORT) from None


def without_odd_lines(text: str) -> str:
    """The text of a usable cookies file without the lines that yt-dlp would print, or stop at."""
    return "\n".join(line for line in text.split("\n") if not _find_oddity(line, 0))


def cookie_values(text: str) -> set[str]:
    """The values in a cookies file that are secret: those of at least 8 characters."""
    rows = (line.split("\t") for line in text.split("\n"))
    return {row[6] for row in rows if len(row) == _FIELDS and len(row[6]) >= 8}


class _UnusableError(Exception):
    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.problem = Problem(what, remedy, Reason.CREDENTIALS_MISSING)


def _youtube_cookies(text: str) -> tuple[dict[str, _Cookie], list[Problem]]:
    """YouTube's cookies by name, and the problems of odd lines, which are skipped.

    Raises _UnusableError where nothing usable is left.
    """
    lines = text.split("\n")  # only there, as yt-dlp does
    if text.lstrip()[:1] in ("[", "{"):
        raise _UnusableError("it is JSON, not Netscape format", _EXPORT)
    if not text.strip():
        raise _UnusableError("it is empty", f"{_EXPORT}: `cookies_path` names it")
    if not _HEADER.match(lines[0]):
        raise _UnusableError(
            "line 1 is not '# Netscape HTTP Cookie File'",
            f"{_EXPORT}; if it is, add that line at the top",
        )
    cookies: dict[str, _Cookie] = {}
    odd: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if problem := _find_oddity(line, number):
            odd.append(problem)
            continue
        fields = line.removeprefix("#HttpOnly_").split("\t")
        if (line.startswith("#") and not line.startswith("#HttpOnly_")) or len(fields) != _FIELDS:
            continue
        domain, _, _, _, expires, name, value = fields
        if domain.lstrip(".") in ("youtube.com", "www.youtube.com"):
            cookies[name] = _Cookie(name, value, float(expires or 0))
    if odd and not cookies:
        raise _UnusableError(odd[0].what, odd[0].remedy)
    return cookies, odd


def _find_oddity(line: str, number: int) -> Problem | None:
    """What is wrong with a line; None for a cookie, a comment or an empty line."""
    line = line.removeprefix("#HttpOnly_")
    if line.startswith("#") or not line.strip():
        return None
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        why = f"line {number} has {len(fields)} fields between tabs, not {_FIELDS}"
        if len(fields) == 1 and len(line.split()) >= _FIELDS - 1:
            why = f"line {number} has spaces where tabs belong"
        return Problem(why, f"{_EXPORT}; copying through a terminal loses the tabs")
    domain, below, _, _, expires, _, _ = fields
    if (below == "TRUE") != domain.startswith("."):
        why = f"line {number}: the second field is not {str(domain.startswith('.')).upper()}"
        return Problem(why, f"{_EXPORT}; it is TRUE where the first begins with a dot")
    if expires and not re.fullmatch(r"\d+(\.\d+)?", expires):
        return Problem(f"line {number}: the fifth field is not a time", _EXPORT)
    return None
