"""Text from outside made safe: to print, and to remember.

Both functions take time in proportion to the length of the text, whatever it holds.
"""

from __future__ import annotations

import re
import unicodedata

# The beginning of an address, then all that belongs to it. One slash: an address that was read as
# a path. Anchored at the colon, so that no character is looked at twice.
_ADDRESS = re.compile(r"(:/{1,2})([^\s\"<>]*)")
# A query without its address, as logs of HTTP clients print it.
_QUERY = re.compile(r"\?(?=[\w.~%+-]{1,100}=)([^\s\"'<>)#]*)")
# A user, a port, a query or a fragment follows one of these.
_MAY_HOLD_SECRET = re.compile(r"[?#@:]")
# Of a query, only the id of a YouTube video may be remembered.
_VIDEO_ID = re.compile(r"v=[\w-]{0,16}")
_SECRET_FRAGMENT = re.compile(
    r"#(?=[\w-]{0,40}(?:token|sig|signature|key|password)=).*", re.I | re.S
)
# Sequences by which a terminal is controlled: CSI, then OSC and its like up to their end.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)


def printable(text: str) -> str:
    """A text as a terminal, a log or a page may show it.

    Escape sequences are removed. Every other character that controls or hides (C0, C1, half
    surrogates, marks that turn the direction of writing) becomes U+FFFD. A line break stays, and
    the lines after it are indented if they are not, so that none looks like a line of ours.

    >>> printable("a\\x1b]0;title\\x07b\\u202ec\\nd")
    'ab\ufffdc\\n  d'
    """
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text)
    shown = "".join(map(_show, text))
    return re.sub(r"\n(?=[^ \n])", "\n  ", shown.rstrip("\n"))


def _show(char: str) -> str:
    if char.isprintable() or char == "\n":
        return char
    if char == "\t" or unicodedata.category(char) == "Zs":
        return " "
    return "\ufffd"


def label(text: str) -> str:
    """A name from outside as a page or a picture may show it: U+FFFD for all that is hidden."""
    if text.isprintable():
        return text
    return re.sub("\ufffd+", "\ufffd", "".join(map(_show, text)).replace("\n", "\ufffd"))


def one_line(text: str) -> str:
    """As `printable`, as one line: for names and messages of others.

    >>> one_line("a.jpg\\n2026-01-01 00:00:00 nga: done")
    'a.jpg 2026-01-01 00:00:00 nga: done'
    """
    return text if text.isprintable() else " ".join(printable(text).split())


def without_secrets(text: str) -> str:
    """A text whose addresses may be remembered: without user, password, and query.

    Of a query, the id of a YouTube video (`v=`) stays.

    >>> without_secrets("from https://me:secret@host/a?X-Amz-Signature=secret and more")
    'from https://host/a and more'
    """
    if ":/" in text:
        text = _ADDRESS.sub(_clean_address, text)
    if "?" in text:
        text = _QUERY.sub(lambda match: _clean_query(match[1]), text)
    return text


def _clean_address(match: re.Match[str]) -> str:
    slashes, rest = match[1], match[2]
    if not _MAY_HOLD_SECRET.search(rest):
        return match[0]
    head = re.split(r"[/?#]", rest, maxsplit=1)[0]
    _, user, host = head.rpartition("@")
    # A password with a slash or a question mark in it ends the host too early.
    port = host.rpartition(":")[2] if ":" in host and not host.startswith("[") else ""
    if user:
        rest = rest[len(head) - len(host) :]
    elif port and not port.isdecimal():
        rest = rest.rpartition("@")[2] if "@" in rest else rest[: len(head) - len(port) - 1]
    rest, mark, fragment = rest.partition("#")
    address, _, query = rest.partition("?")
    return slashes + address + _clean_query(query) + _SECRET_FRAGMENT.sub("", mark + fragment)


def _clean_query(query: str) -> str:
    kept = [part for part in query.split("&") if _VIDEO_ID.fullmatch(part)]
    return f"?{'&'.join(kept)}" if kept else ""
