"""Reads SA-Co annotation files and writes derived ones. The downloaded file is never modified.

An entry of `images[]` is an image-NP pair, so one file appears many times; products are the unique
`file_name`s. Entries are carried over as the bytes that were read: unknown fields, number formats
and key order survive a rewrite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from saco_data import files
from saco_data.errors import AnnotationError, Incomplete, OutputError
from saco_data.manifest import Manifest
from saco_data.records import MAX_PIXELS, Product

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


@dataclass(frozen=True)
class Index:
    """An annotation file seen as products.

    `sha256` is that of the file's bytes; `warnings` name what differs from what was published.
    """

    path: Path
    sha256: str
    products: dict[str, Product]
    image_nps: int
    masks: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """What a derived file holds: counts, and `removed` as {file_name: [ids of its pairs]}."""

    image_nps: int
    masks: int
    removed: dict[str, list[int | str]]


def read(path: Path, manifest: Manifest) -> Index:
    """Reads and validates an annotation file.

    Raises AnnotationError for a missing or damaged file and for entries that lack what the job
    relies on; counts that differ from the published ones are warnings.
    """
    content = _bytes(path)
    parts = _parts(content, path)
    entries: dict[str, _Image] = {}
    warnings: list[str] = []
    for image in _decoded(parts, "images", _Image, path):
        first = entries.setdefault(image.file_name, image)
        if first is not image and not _same_file(first, image) and len(warnings) < 20:
            warnings.append(
                f"{path.name}: pairs {first.id} and {image.id} disagree about "
                f"{image.file_name}; the first is used"
            )
    products = {name: _product(image, path) for name, image in entries.items()}
    nps = len(_entries(parts, "images", path))
    masks = len(_entries(parts, "annotations", path))
    published = manifest.annotations
    counts = (
        ("image-NPs", nps, published.image_nps),
        ("masks", masks, published.masks),
        ("files", len(products), published.files or len(products)),
    )
    differing = [f"{found} {what} ({said})" for what, found, said in counts if found != said]
    if differing:
        warnings.append(f"{path.name} holds other counts than published: {', '.join(differing)}")
    return Index(path, hashlib.sha256(content).hexdigest(), products, nps, masks, tuple(warnings))


def _same_file(one: _Image, other: _Image) -> bool:
    return (
        one.width == other.width
        and one.height == other.height
        and one.global_frame_idx == other.global_frame_idx
        and one.original_video == other.original_video
        and one.image_size == other.image_size
    )


def _product(image: _Image, path: Path) -> Product:
    for height, width in filter(None, ((image.height, image.width), image.image_size)):
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
            raise AnnotationError(
                f"image {image.id} has the size {width} x {height}", item=str(path), remedy=AGAIN
            )
    return Product(
        image.file_name,
        image.width,
        image.height,
        image.original_video,
        image.global_frame_idx,
        image.image_size,
    )


def derive(source: Path, to: Path, keeps: Callable[[str], bool], sha256: str = "") -> Kept:
    """Writes `source` without the pairs whose `file_name` is not kept, and without their masks.

    Order, all other fields, `info`, `categories` and negative phrases stay. Atomic; an identical
    file is left alone. Raises AnnotationError as `read` does, DiskFull and OutputError (also where
    `to` is `source` itself), and Incomplete where `source` is not the file that had `sha256`.
    """
    if to.exists() and to.samefile(source):
        raise OutputError(
            "is the downloaded annotation file, which is never modified",
            item=str(to),
            remedy="Write elsewhere: choose another folder for what is derived",
        )
    chosen = _chosen(source, keeps, sha256)
    if not chosen.removed:
        files.copy(source, to)
        return chosen.kept
    with files.atomic(to) as out:
        separator = b"{"
        for key, value in chosen.parts.items():
            out.write(separator + msgspec.json.encode(key) + b": ")
            if key == "images":
                _write_list(out.write, chosen.images)
            elif key == "annotations":
                _write_list(out.write, chosen.masks)
            else:
                out.write(value)
            separator = b", "
        out.write(b"}")
    return chosen.kept


def coverage(source: Path, keeps: Callable[[str], bool]) -> Kept:
    """What `derive` would keep. Raises AnnotationError as `read` does."""
    return _chosen(source, keeps).kept


@dataclass(frozen=True)
class _Chosen:
    parts: dict[str, msgspec.Raw]
    images: list[msgspec.Raw]
    masks: list[msgspec.Raw]
    removed: dict[str, list[int | str]]

    @property
    def kept(self) -> Kept:
        return Kept(len(self.images), len(self.masks), self.removed)


def _chosen(source: Path, keeps: Callable[[str], bool], sha256: str = "") -> _Chosen:
    """The entries of an annotation file that are kept, as the bytes that were read."""
    content = _bytes(source)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise Incomplete("changed while it was worked with", item=str(source), remedy="Run again")
    parts = _parts(content, source)
    removed: dict[str, list[int | str]] = {}
    gone_ids: set[int | str] = set()
    images: list[msgspec.Raw] = []
    decode = msgspec.json.Decoder(_Name).decode
    verdicts: dict[str, bool] = {}
    with _explained(source, "images"):
        for raw in _entries(parts, "images", source):
            entry = decode(raw)
            name = entry.file_name
            keep = verdicts.get(name)
            if keep is None:
                keep = verdicts[name] = keeps(name)
            if keep:
                images.append(raw)
            else:
                removed.setdefault(name, []).append(entry.id)
                gone_ids.add(entry.id)
    masks = _entries(parts, "annotations", source)
    if removed:
        mask_of = msgspec.json.Decoder(_Mask).decode
        with _explained(source, "annotations"):
            masks = [raw for raw in masks if mask_of(raw).image_id not in gone_ids]
    return _Chosen(parts, images, masks, removed)


def _write_list(write: Callable[[bytes], object], entries: list[msgspec.Raw]) -> None:
    """Writes raw entries in slices: one small write each would cost more than the join."""
    write(b"[")
    for start in range(0, len(entries), 4096):
        if start:
            write(b", ")
        write(b", ".join(entries[start : start + 4096]))
    write(b"]")


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
