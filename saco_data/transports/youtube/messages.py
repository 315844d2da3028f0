"""What YouTube and yt-dlp say, sorted into reasons by one table. Unknown words are never "gone"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from saco_data.config.installation import pip_command
from saco_data.model.outside import printable, without_secrets
from saco_data.model.reasons import Reason

# First match wins, so the order is the argument: whatever speaks of the client (bot check,
# throttle, country, login) stands before whatever speaks of the video, because YouTube starts
# both with "Video unavailable".
_TABLE: tuple[tuple[str, Reason], ...] = (
    # --- the source is closed to us, whatever the video
    (r"confirm you're not a bot|captcha", Reason.BOT_CHECK),
    (
        r"rate-limited|content isn't available, try again|HTTP Error 429|Too Many Requests",
        Reason.THROTTLED,
    ),
    (r"IP is likely being blocked|unusual traffic", Reason.THROTTLED),
    # Said to blocked accounts and sessions about every video (yt-dlp issues 13583, 14095, 16307).
    (r"(Video unavailable\W+)?This content isn't available\W*$", Reason.THROTTLED),
    (r"cookies are no longer valid", Reason.CREDENTIALS_EXPIRED),
    # --- the video exists, but not for this session
    (r"confirm your age|age-restricted|inappropriate for some users", Reason.UNAUTHORIZED),
    (r"in your (country|region|location)", Reason.UNAUTHORIZED),
    (
        r"Music Premium|YouTube Premium|requires payment|\b(rent|purchase|buy)\b",
        Reason.UNAUTHORIZED,
    ),
    (r"administrator|video is restricted", Reason.UNAUTHORIZED),
    # --- the video is gone
    (r"Private video\b|(Video unavailable\W+)?This video is private", Reason.VIDEO_PRIVATE),
    (r"members-only content|available to this channel's members", Reason.VIDEO_MEMBERS_ONLY),
    (r"account associated with this video has been terminated", Reason.ACCOUNT_TERMINATED),
    (r"has closed their (YouTube|Google) account", Reason.ACCOUNT_TERMINATED),
    (r"video has been removed (by|for|because)\b", Reason.VIDEO_UNAVAILABLE),
    # A live stream that is over, and whose recording was not kept.
    (
        r"live (stream|event)( recording)? (is not|isn't|is no longer) available",
        Reason.VIDEO_UNAVAILABLE,
    ),
    (r"live (stream|event) (has ended|is over)", Reason.VIDEO_UNAVAILABLE),
    (r"no longer available due to a \w+ claim", Reason.VIDEO_UNAVAILABLE),
    (r"has blocked it on copyright grounds", Reason.VIDEO_UNAVAILABLE),
    (
        r"(Video unavailable\W*)?"
        r"(This video (is not available|is unavailable|isn't available( anymore)?|does not exist"
        r"|is no longer available|has been removed)\W*)?$",
        Reason.VIDEO_UNAVAILABLE,
    ),
    # --- only a password away
    (r"\bsign in\b|\blog ?in\b|requires authentication", Reason.UNAUTHORIZED),
    # --- transient
    (r"timed out|timeout", Reason.TIMEOUT),
    (r"HTTP Error 5\d\d", Reason.SERVER_ERROR),
    (r"HTTP Error \d+", Reason.HTTP_ERROR),
    (
        r"Did not get any data blocks|content too short|more expected|IncompleteRead|is empty",
        Reason.SHORT_BODY,
    ),
    (
        r"connection|resolve|resolution|unreachable|no route|proxy|CERTIFICATE_VERIFY|SSL"
        r"|Remote end closed|EOF occurred|Errno",
        Reason.NETWORK,
    ),
)
# A row that ends in $ is the whole message; the others may stand anywhere in it.
_PATTERNS = tuple(
    (
        re.compile(text if text.endswith("$") else f".*?(?:{text})", re.IGNORECASE | re.DOTALL),
        reason,
    )
    for text, reason in _TABLE
)
NO_ANSWER = "Failed to extract any player response"
# Warnings of yt-dlp that tell why it finds no video.
_CAUSE = re.compile(
    r"JavaScript runtime|JS runtime|\bSABR\b|PO Token|challenge|nsig|signature extraction",
    re.IGNORECASE,
)
# Reasons that may only be due to expired cookies.
_DUE_TO_LOGIN = frozenset(
    (
        Reason.BOT_CHECK,
        Reason.UNAUTHORIZED,
        Reason.VIDEO_PRIVATE,
        Reason.VIDEO_MEMBERS_ONLY,
    )
)
_ADVICE = re.compile(
    r"[;.]?\s*(Use --cookies|please report this issue on|You might want to use a VPN"
    r"|It is recommended to use|For more information, refer to|Use --list-formats).*",
    re.DOTALL,
)
_PREFIX = re.compile(r"^\s*(ERROR:\s*)?(\[[\w:+-]+\]\s*)?([\w-]{11}:\s+)?")
_LONGEST = 4000  # characters of a message that are looked at
_MEDIA_URL = re.compile(r"(https?://[\w.-]*googlevideo\.com)\S*")
_QUERY = re.compile(r"\?v=[\w-]*")
_MEDIA_PATH = re.compile(r"/(videoplayback|api/manifest)\b[^\s'\")]*")


def classify(message: str, warnings: Iterable[str] = ()) -> Reason:
    """The reason behind yt-dlp's message about one video, given its warnings about the same."""
    hints = {_sort(_bare(warning)) for warning in warnings}
    text = _bare(message)
    reason = _sort(text)
    if NO_ANSWER in text:
        # The warnings hold the cause; without one it is YouTube that does not want to answer.
        causes = (Reason.NETWORK, Reason.TIMEOUT, Reason.SERVER_ERROR)
        reason = next((cause for cause in causes if cause in hints), Reason.THROTTLED)
    if Reason.THROTTLED in hints:
        return Reason.THROTTLED
    if Reason.CREDENTIALS_EXPIRED in hints and reason in _DUE_TO_LOGIN:
        return Reason.CREDENTIALS_EXPIRED
    return reason


def causes(warnings: Iterable[str]) -> list[str]:
    """The warnings that tell why yt-dlp finds no video, each once."""
    return [each for each in dict.fromkeys(warnings) if _CAUSE.search(each)]


def remedy_for(detail: str) -> str:
    """What to do when yt-dlp fails with this message for every video."""
    upgrade = f"`{pip_command()} install --upgrade 'yt-dlp[default,deno]'`"
    if re.search("JavaScript runtime|JS runtime|challenge", detail, re.IGNORECASE):
        return f"Run {upgrade}, or install deno (https://deno.com), then run again"
    return f"Run {upgrade}, then run again"


def clean(message: str, secrets: Iterable[str] = ()) -> str:
    """A message without prefix, advice for the command line, URL queries and the given secrets."""
    text = printable(message)
    for secret in secrets:
        text = text.replace(secret, "***")
    # White space first: several of the patterns would try each blank of a long row.
    text = " ".join(text.split())[:_LONGEST]
    text = _ADVICE.sub("", _PREFIX.sub("", text))
    text = without_secrets(_MEDIA_PATH.sub(r"/\1", _MEDIA_URL.sub(r"\1", text)))
    text = _QUERY.sub("", text).strip()
    return text if len(text) <= 300 else f"{text[:297]}..."


def _bare(message: str) -> str:
    return clean(message).replace("’", "'").replace("‘", "'")


def _sort(text: str) -> Reason:
    if text:
        for pattern, reason in _PATTERNS:
            if pattern.match(text):
                return reason
    return Reason.EXTRACTOR_ERROR
