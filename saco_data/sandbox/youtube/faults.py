"""Why a video does not play, and what YouTube says then."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

# The trailer that a paid video offers.
TRAILER = "trailerTRAI"


class Fault(StrEnum):
    """Why a video, or the whole site, does not play."""

    UNAVAILABLE = "unavailable"
    REMOVED = "removed"
    TERMS = "terms"
    COPYRIGHT = "copyright"
    TERMINATED = "terminated"
    PRIVATE = "private"
    MEMBERS_ONLY = "members_only"
    AGE = "age"
    GEO = "geo"
    UPCOMING = "upcoming"
    LIVE_OVER = "live_over"
    PAID = "paid"
    BOT_CHECK = "bot_check"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_BLOCKED = "account_blocked"
    HTTP_429 = "http_429"


# status, reason, subreason of `playabilityStatus`
_WORDS: dict[Fault, tuple[str, str, str]] = {
    Fault.UNAVAILABLE: ("ERROR", "Video unavailable", ""),
    Fault.REMOVED: (
        "ERROR",
        "Video unavailable",
        "This video has been removed by the uploader",
    ),
    Fault.TERMS: (
        "ERROR",
        "This video has been removed for violating YouTube's Terms of Service",
        "",
    ),
    Fault.COPYRIGHT: (
        "ERROR",
        "Video unavailable",
        "This video is no longer available due to a copyright claim by Some Label",
    ),
    Fault.TERMINATED: (
        "ERROR",
        "Video unavailable",
        "This video is no longer available because the YouTube account associated with this video"
        " has been terminated.",
    ),
    Fault.PRIVATE: (
        "LOGIN_REQUIRED",
        "Private video",
        "Sign in if you've been granted access to this video",
    ),
    Fault.MEMBERS_ONLY: (
        "UNPLAYABLE",
        "Join this channel to get access to members-only content like this video, and other"
        " exclusive perks.",
        "",
    ),
    Fault.AGE: (
        "LOGIN_REQUIRED",
        "Sign in to confirm your age",
        "This video may be inappropriate for some users.",
    ),
    Fault.GEO: (
        "UNPLAYABLE",
        "Video unavailable",
        "The uploader has not made this video available in your country",
    ),
    Fault.UPCOMING: ("LIVE_STREAM_OFFLINE", "This live event will begin in 3 days.", ""),
    Fault.LIVE_OVER: ("UNPLAYABLE", "This live stream recording is not available.", ""),
    Fault.PAID: ("UNPLAYABLE", "This video requires payment to watch.", ""),
    Fault.BOT_CHECK: (
        "LOGIN_REQUIRED",
        "Sign in to confirm you’re not a bot",
        "This helps protect our community. Learn more",
    ),
    Fault.RATE_LIMITED: (
        "UNPLAYABLE",
        "Video unavailable",
        "This content isn't available, try again later.",
    ),
    Fault.ACCOUNT_BLOCKED: ("ERROR", "Video unavailable", "This content isn’t available."),
}


def describe(fault: Fault) -> dict[str, Any]:
    """The `playabilityStatus` of a video that does not play."""
    status, reason, subreason = _WORDS[fault]
    message: dict[str, Any] = {"reason": {"simpleText": reason}}
    if subreason:
        message["subreason"] = {"simpleText": subreason}
    screen: dict[str, Any] = {"playerErrorMessageRenderer": message}
    if fault is Fault.PAID:
        screen = {"playerLegacyDesktopYpcTrailerRenderer": {"trailerVideoId": TRAILER}}
    return {"status": status, "reason": reason, "errorScreen": screen}
