"""Annotation files as JSON: validated where the job relies on it, raw bytes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from saco_data.model.errors import AnnotationError

# No JPEG is longer or wider, in pixels.
MAX_SIDE = 65_500


AGAIN = "Download it again with `saco annotations`"


class _Image(msgspec.Struct, gc=False):
    """What the job relies on in an image-NP pair; `image_size` is [height, width] in pixels."""

    id: int | str
    file_name: str
    width: int
    height: int
    original_video: str | None = None
    global_frame_idx: int | None = None
    image_size: tuple[int, int] | None = None


class _Name(msgspec.Struct, gc=False):
    id: int | str
    file_name: str


class _Mask(msgspec.Struct, gc=False):
    image_id: int | str


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise AnnotationError(
            "the annotation file is missing",
            item=str(path),
            remedy="Get it with `saco annotations`, or correct path_annotations",
        ) from None
    except OSError as error:
        raise AnnotationError(
            f"cannot be read ({error.strerror})", item=str(path), remedy="Make it readable"
        ) from error


def _parts(content: bytes, path: Path) -> dict[str, msgspec.Raw]:
    """The top-level members, undecoded."""
    with _explained(path, ""):
        parts = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    for key in ("images", "annotations"):
        if key not in parts:
            raise AnnotationError(f"has no `{key}`", item=str(path), remedy=AGAIN)
    return parts


def _entries(parts: dict[str, msgspec.Raw], key: str, path: Path) -> list[msgspec.Raw]:
    with _explained(path, key):
        return msgspec.json.decode(parts[key], type=list[msgspec.Raw])


def _decoded(
    parts: dict[str, msgspec.Raw], key: str, kind: type[_Image], path: Path
) -> Iterator[_Image]:
    with _explained(path, key):
        yield from msgspec.json.decode(parts[key], type=list[kind])  # type: ignore[valid-type]


class _explained:  # noqa: N801  (used as a context manager)
    """Turns msgspec's complaints into AnnotationError with the place in the file."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, msgspec.ValidationError):
            place = str(error).replace("$", self.key)
            raise AnnotationError(place, item=str(self.path), remedy=AGAIN) from error
        if isinstance(error, msgspec.DecodeError | UnicodeDecodeError | RecursionError):
            raise AnnotationError(
                f"is not whole JSON ({error})", item=str(self.path), remedy=AGAIN
            ) from error
