"""Every fourth frame of a video, as SA-V is annotated: 6 of 24 frames a second.

The same pixels and JPEG bytes as the official extraction (OpenCV, quality 95), one frame in memory
at a time instead of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from saco_data.media.frames import Frame, FrameError, FrameFailure, extract, probe
from saco_data.media.images import encode_jpeg
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.background import Background

STEP = 4
QUALITY = 95


@dataclass(frozen=True)
class Extracted:
    """What was written: `names` of the pictures, and how many frames the whole video has.

    `way` as in `Frame`: how the last frame was reached. `concealed`: the decoder had to make up
    damaged parts of a picture.
    """

    names: tuple[str, ...]
    frame_count: int
    way: str
    concealed: bool = False


def names(count: int) -> list[str]:
    """The names of so many pictures: 00000.jpg, 00004.jpg, ..."""
    return [f"{STEP * number:05d}.jpg" for number in range(count)]


def write(video: Path, folder: Path) -> Extracted:
    """Writes frames 0, 4, 8, ... as `<folder>/00000.jpg`, `00004.jpg`, `00008.jpg`, ...

    A name is the number of the frame in the video. Pictures that are there with the same bytes are
    left alone. Raises FrameError where the video cannot be decoded, OSError, DiskFull, OutputError.
    """
    written: list[str] = []
    way, concealed = "", False
    # Pictures are synced while the next ones are decoded.
    with Background() as background:
        for got in _extract(video):
            if isinstance(got, FrameFailure):
                assert got.count is not None
                return Extracted(tuple(written), got.count, way, concealed)
            name = f"{got.index:05d}.jpg"
            content = encode_jpeg(got.rgb, quality=QUALITY)
            files.write_if_changed(folder / name, content, background.call)
            written.append(name)
            way, concealed = got.way, concealed or got.concealed
    raise AssertionError("frames end with a failure")


def _extract(video: Path) -> Iterator[Frame | FrameFailure]:
    """Every fourth frame, then a failure that tells how many frames the video has."""
    count: int = probe(video)["frames"]
    if not count:
        raise FrameError(Reason.CORRUPT_VIDEO, f"{video.name}: no frame can be decoded")
    start, stop = 0, count + STEP  # the last one should not be there
    while True:
        for got in extract(video, range(start, stop, STEP)):
            yield got
            if isinstance(got, FrameFailure):
                return
        # Decoding can give more frames than there are packets.
        start += STEP * len(range(start, stop, STEP))
        stop = start + count + STEP
