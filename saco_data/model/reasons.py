"""The reasons of states, and their effects: the one table of both."""

from __future__ import annotations

from enum import Flag, StrEnum, auto


class State(StrEnum):
    """What is known of an item."""

    PENDING = "pending"  # nothing tried yet
    DONE = "done"
    FAILED = "failed"  # transient: the next run tries again
    BLOCKED = "blocked"  # the user must act, or the source needs rest
    GONE = "gone"  # the source itself says that it no longer exists: the only state that prunes


class Effect(Flag):
    """What else follows from a reason, besides the state."""

    NONE = 0
    # The raw file is unusable: it is deleted.
    DISCARD_RAW = auto()
    # The finished file is unusable: it is deleted.
    DISCARD_PRODUCT = auto()
    # The item exists at its source, so an earlier "gone" no longer holds.
    EXISTS = auto()
    # The whole source is closed, not only this item: no further item is tried.
    CLOSE_SOURCE = auto()
    # The source is closed until it has rested; the user need not act.
    REST = auto()


_NONE, _REST = Effect.NONE, Effect.CLOSE_SOURCE | Effect.REST
_CLOSE, _EXISTS = Effect.CLOSE_SOURCE, Effect.EXISTS
_BAD_RAW = Effect.DISCARD_RAW | Effect.EXISTS
_BAD_FILE = Effect.DISCARD_RAW | Effect.DISCARD_PRODUCT | Effect.EXISTS
_PENDING, _DONE, _GONE = State.PENDING, State.DONE, State.GONE
_BLOCKED, _FAILED = State.BLOCKED, State.FAILED


class Reason(StrEnum):
    """Why an item is in its state: value, state, effects, and a sentence for users."""

    NOT_TRIED = "not_tried", _PENDING, _NONE, "not tried yet"
    OK = "ok", _DONE, _NONE, "complete and verified"

    HTTP_404 = "http_404", _GONE, _NONE, "the server says it does not exist (404)"
    HTTP_410 = "http_410", _GONE, _NONE, "the server says it was removed (410)"
    NOT_IN_ARCHIVE = "not_in_archive", _GONE, _NONE, "the archive does not contain it"
    NOT_IN_CATALOGUE = "not_in_catalogue", _GONE, _NONE, "the catalogue does not list it"
    OBJECT_MISSING = "object_missing", _GONE, _NONE, "the bucket has no such object"
    VIDEO_UNAVAILABLE = "video_unavailable", _GONE, _NONE, "the video was removed"
    VIDEO_PRIVATE = "video_private", _GONE, _NONE, "the video is private now"
    VIDEO_MEMBERS_ONLY = "video_members_only", _GONE, _NONE, "the video is for members only"
    ACCOUNT_TERMINATED = "account_terminated", _GONE, _NONE, "the account was closed"

    UNAUTHORIZED = "unauthorized", _BLOCKED, _NONE, "the server refused access"
    THROTTLED = "throttled", _BLOCKED, _REST, "the source asks for fewer requests"
    BOT_CHECK = "bot_check", _BLOCKED, _REST, "the source asks for a login or a bot check"
    LINK_EXPIRED = "link_expired", _BLOCKED, _CLOSE, "the link has expired"
    CREDENTIALS_MISSING = "credentials_missing", _BLOCKED, _CLOSE, "credentials are missing"
    CREDENTIALS_EXPIRED = "credentials_expired", _BLOCKED, _CLOSE, "the credentials have expired"
    RAW_MISSING = "raw_missing", _BLOCKED, _CLOSE, "the raw medium is not at hand"
    RAW_UNUSABLE = "raw_unusable", _BLOCKED, _CLOSE, "the raw medium is not what it should be"
    NOT_IN_FOLDER = "not_in_folder", _BLOCKED, _NONE, "the folder does not contain it"
    ELSEWHERE = "elsewhere_in_archive", _BLOCKED, _EXISTS, "the archive has it in another place"
    NO_FRAME_INDEX = "no_frame_index", _BLOCKED, _NONE, "the annotation names no usable frame"
    UNSAFE_NAME = "unsafe_name", _BLOCKED, _NONE, "the name would leave its folder"
    ANNOTATIONS = "annotations", _BLOCKED, _NONE, "the annotation file is missing or damaged"

    NETWORK = "network", _FAILED, _NONE, "the connection failed"
    TIMEOUT = "timeout", _FAILED, _NONE, "the server did not answer in time"
    SERVER_ERROR = "server_error", _FAILED, _NONE, "the server reported an internal error"
    HTTP_ERROR = "http_error", _FAILED, _NONE, "the server answered with an unexpected status"
    SHORT_BODY = "short_body", _FAILED, _EXISTS, "the download ended too early"
    WRONG_DIGEST = "wrong_digest", _FAILED, _BAD_FILE, "the digest is not the expected one"
    NOT_MEDIA = "not_media", _FAILED, _BAD_FILE & ~_EXISTS, "the content is not a picture or video"
    CORRUPT_IMAGE = "corrupt_image", _FAILED, _BAD_FILE, "the picture cannot be decoded"
    WRONG_SIZE = "wrong_size", _FAILED, _BAD_FILE & ~Effect.DISCARD_RAW, "width or height is wrong"
    CORRUPT_VIDEO = "corrupt_video", _FAILED, _BAD_RAW, "the video cannot be decoded"
    FRAME_BEYOND_END = "frame_beyond_end", _FAILED, _EXISTS, "the video has no such frame"
    ARCHIVE_DAMAGED = "archive_damaged", _FAILED, _NONE, "the archive is damaged"
    WORKER_CRASHED = "worker_crashed", _FAILED, _EXISTS, "the worker process died"
    WORKER_TIMEOUT = "worker_timeout", _FAILED, _EXISTS, "processing took too long"
    EXTRACTOR_ERROR = "extractor_error", _FAILED, _NONE, "the extractor of the site failed"
    PRODUCT_LOST = "product_lost", _FAILED, _NONE, "the finished file was lost"

    state: State
    effects: Effect
    sentence: str

    def __new__(cls, value: str, state: State, effects: Effect, sentence: str) -> Reason:
        member = str.__new__(cls, value)
        member._value_ = value
        member.state, member.effects, member.sentence = state, effects, sentence
        return member

    @classmethod
    def of(cls, value: str) -> Reason:
        """The reason with this value in the ledger. Raises ValueError."""
        if value not in _BY_VALUE:
            raise ValueError(f"{value!r} is not a reason")
        return _BY_VALUE[value]

    def has(self, effect: Effect) -> bool:
        """Whether this effect follows from the reason."""
        return effect in self.effects


_BY_VALUE = {reason.value: reason for reason in Reason}
