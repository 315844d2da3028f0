"""Checks the content of a product by its kind: picture, mask, text, JSON of masks, video."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from saco_data.media.images import ImageError, check_image
from saco_data.model.errors import AnnotationError
from saco_data.model.reasons import Reason
from saco_data.storage import files

_SA1B = re.compile(r"sa_\d+\.json")


class Checked(NamedTuple):
    """Sound content: (width, height) of a picture or mask, else (0, 0), and facts for the ledger.

    Facts: `frames`, how many frames a video has, or how many SA-V's JSON says that its video has.
    Of SA-1B's JSON `masks`, their number, and `picture`, the [width, height] of its picture.
    """

    size: tuple[int, int] = (0, 0)
    facts: Mapping[str, Any] = MappingProxyType({})


class Inspected(NamedTuple):
    """What was found in a sound file. `stamp`: see `storage.files.stamp`; `bytes`: its size."""

    stamp: list[Any]
    bytes: int
    sha256: str
    facts: dict[str, Any]


def inspect(path: Path, name: str) -> Inspected | None:
    """What is in the file of a product of this name; None unless it is sound."""
    stamp = files.stamp(path)
    try:
        data = path.read_bytes()
        found = check_content(data, name)
    except (OSError, ImageError):
        return None  # found again, and told, when the product is made
    return Inspected(stamp, len(data), hashlib.sha256(data).hexdigest(), dict(found.facts))


def check_content(data: bytes, name: str, *, vouched: bool = False) -> Checked:
    """What was found in sound content.

    Pictures and masks are decoded in full. SA-V's JSON must have masks that agree with its own
    statistics, and each mask in SA-1B's JSON must fill its picture. Of a video the first frame is
    decoded and the packets are read to the end.
    `vouched`: a checksum proves that the bytes are those of the source. Raises ImageError.
    """
    kind = PurePosixPath(name).suffix
    if kind == ".txt":
        _check_text(data, name)
        return Checked()
    if _SA1B.fullmatch(PurePosixPath(name).name):
        return _check_sa1b(data, name)
    if kind == ".json":
        return Checked(facts={"frames": _check_masklets(data, name)})
    if kind == ".mp4":
        return Checked(facts={"frames": _check_video(data, name)})
    return Checked(check_image(data, name=name, vouched=vouched))


def _check_text(data: bytes, name: str) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.strip():
        raise ImageError(Reason.NOT_MEDIA, f"{name}: not a text")


def _check_masklets(data: bytes, name: str) -> int:
    # It imports numpy, which a run without such files does not need.
    from saco_data.dataset import sav_json

    try:
        masklets = sav_json.parse(data, Path(name))
        differences = masklets.differences()
    except AnnotationError as error:
        raise ImageError(Reason.WRONG_DIGEST, f"{name}: {error.what}") from error
    if differences:
        what = "its statistics are not those of its masks"
        raise ImageError(Reason.WRONG_DIGEST, f"{name}: {what}: {differences[0]}")
    return masklets.frame_count


def _check_sa1b(data: bytes, name: str) -> Checked:
    # It imports numpy, which a run without such files does not need.
    from saco_data.dataset import sa1b_json

    try:
        found = sa1b_json.parse(data, Path(name))
    except AnnotationError as error:
        raise ImageError(Reason.WRONG_DIGEST, f"{name}: {error.what}") from error
    if damage := found.find_damage():
        raise ImageError(Reason.WRONG_DIGEST, f"{name}: {damage}")
    size = [found.width, found.height]
    return Checked(facts={"masks": len(found.masks), "picture": size})


def _check_video(data: bytes, name: str) -> int:
    import av

    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
            stream = container.streams.video[0]
            packets = sum(1 for packet in container.demux(stream) if packet.size)
            container.seek(0)
            decoded = next(container.decode(stream), None)
            # The container itself says how many frames it holds.
            if decoded is None or packets < stream.frames:
                detail = f"{name}: holds {packets} of {stream.frames} frames"
                raise ImageError(Reason.CORRUPT_VIDEO, detail)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise ImageError(Reason.CORRUPT_VIDEO, f"{name}: {error}") from error
    return packets
