"""Descriptors of pictures: the mean luma of 32 x 18 blocks, 576 bytes.

They tell whether two pictures are the same one, encoded differently; little can be seen in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from saco_data.config.regular import require_regular
from saco_data.media.frames import FrameError, FrameFailure, extract

COLUMNS, ROWS = 32, 18
SIZE = COLUMNS * ROWS
# uint8 [576], row by row.
Luma = NDArray[np.uint8]


def describe(image: Image.Image) -> Luma:
    """The descriptor of a picture, as it is stored: an EXIF orientation is not applied."""
    grey = image if image.mode == "L" else image.convert("L")
    blocks = grey.resize((COLUMNS, ROWS), Image.Resampling.BOX)
    return np.asarray(blocks, np.uint8).reshape(SIZE)


def describe_file(path: Path) -> Luma:
    """The descriptor of a picture file. Raises OSError or ValueError where it cannot be opened."""
    require_regular(path)
    try:
        with Image.open(path) as image:
            # A JPEG is decoded at a fraction of its size where that is still fine enough.
            image.draft("L", (8 * COLUMNS, 8 * ROWS))
            return describe(image)
    except (SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def describe_frames(video: Path, wanted: Iterable[int]) -> Iterator[tuple[int, Luma]]:
    """The descriptors of some frames of a video, in order; numbers outside it are left out.

    Raises FrameError or OSError.
    """
    for frame in extract(video, wanted, convert=_to_grey):
        if not isinstance(frame, FrameFailure):
            yield frame.index, describe(Image.fromarray(frame.rgb))


def _to_grey(frame: VideoFrame) -> NDArray[np.uint8]:
    """The luma of a frame at full size, uint8 [height, width], turned as the frame says."""
    grey = frame.reformat(format="gray").to_ndarray().astype(np.uint8, copy=False)
    turns, slant = divmod(frame.rotation, 90)
    return grey if slant else np.ascontiguousarray(np.rot90(grey, turns % 4))


def describe_files(paths: list[Path]) -> list[bytes | None]:
    """The descriptor of each picture file; None for one that cannot be opened."""
    found: list[bytes | None] = []
    for path in paths:
        try:
            found.append(describe_file(path).tobytes())
        except (OSError, ValueError):
            found.append(None)
    return found


def describe_around(
    video: Path, numbers: list[int], reach: int
) -> dict[int, dict[int, bytes]] | None:
    """For each frame number, the descriptors of the frames up to `reach` away, by distance.

    None where the video cannot be decoded.
    """
    wanted = {n for at in numbers for n in range(max(0, at - reach), at + reach + 1)}
    try:
        found = {n: each.tobytes() for n, each in describe_frames(video, wanted)}
    except (FrameError, OSError):
        return None
    around = range(-reach, reach + 1)
    return {at: {k: found[at + k] for k in around if at + k in found} for at in numbers}
