"""Exact frames: frame n is the n-th frame of a full sequential decode, in presentation order.

By index: packets are read without decoding, the packet of each wanted frame is found, and decoding
begins at the nearest start before it. Where the index cannot be trusted, the video is decoded
sequentially, which is right by definition. `Frame.way` says which was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from saco_data.media.decode import FrameError, open_video, packets, sequential
from saco_data.media.decode_spans import decode_span, group_into_spans
from saco_data.media.nal_units import Doubt
from saco_data.media.packet_index import build, count_shown, open_for_index
from saco_data.media.pixels import Pixels
from saco_data.model.reasons import Reason

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    Convert = Callable[[VideoFrame], numpy.typing.NDArray[numpy.uint8]]

# Names of the numbers in ITU-T H.273; others are of old or rare systems.
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    8: "linear",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}

__all__ = ["Frame", "FrameError", "FrameFailure", "extract", "probe", "versions"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One wanted frame: `rgb` is uint8 [height, width, 3] with the rotation applied.

    Where `extract` was given a `convert`, `rgb` holds what that returned.

    `pts` is in units of the stream's time base, `seconds` the same in seconds. `way` says how the
    frame was reached: "index" or "sequential: <why>". `transfer`: the transfer characteristic that
    the video names, as H.273 does ("bt709", "smpte2084" for PQ, "arib-std-b67" for HLG); "" if it
    names none. `concealed`: the decoder had to make up damaged parts of this picture, or of one
    since the last key frame.
    """

    index: int
    pts: int | None
    seconds: float | None
    way: str
    rgb: numpy.typing.NDArray[numpy.uint8]
    transfer: str = ""
    concealed: bool = False


@dataclass(frozen=True, slots=True)
class FrameFailure:
    """A wanted frame that the video does not have; `count` is how many it has, if known."""

    index: int
    reason: Reason
    detail: str
    count: int | None = None


def versions() -> dict[str, str]:
    """Versions of PyAV and of the FFmpeg libraries that decode and convert, for the ledger."""
    names = ("libavformat", "libavcodec", "libswscale")
    return {"av": av.__version__} | {
        name: ".".join(map(str, av.library_versions[name])) for name in names
    }


def extract(
    video: Path,
    wanted: Iterable[int],
    *,
    convert: Convert | None = None,
    fingerprint: dict[str, Any] | None = None,
) -> Iterator[Frame | FrameFailure]:
    """Yields the wanted frames of a video as they are decoded, in presentation order.

    `convert` makes `Frame.rgb` from a decoded frame; by default the exact RGB of `Pixels`.
    `fingerprint`, if given, gets what `probe` returns, where the video has an index.
    A FrameFailure (FRAME_BEYOND_END) comes for each index outside the video. Memory does not grow
    with the length of the video or the number of frames. Raises FrameError where the file cannot
    be decoded at all and OSError where it cannot be read.
    """
    numbers = set(wanted)
    for number in sorted(number for number in numbers if number < 0):
        yield FrameFailure(number, Reason.FRAME_BEYOND_END, "frame numbers begin at 0")
    indices = sorted(number for number in numbers if number >= 0)
    if not indices:
        return
    done = 0
    convert = convert or Pixels().rgb
    try:
        for result in _by_index(video, indices, convert, fingerprint):
            yield result
            done += 1
        return
    except Doubt as doubt:
        why = str(doubt)
    yield from _in_sequence(video, indices[done:], f"sequential: {why}", convert)


def probe(video: Path) -> dict[str, Any]:
    """A fingerprint of a video, by which another version of it is noticed.

    `codec`, `container`, `width` and `height` in pixels as coded, `fps`, `duration` in seconds,
    `start_pts`, `time_base`, `frames` (packets to be shown, as far as the file can be read). Raises
    FrameError or OSError.
    """
    with open_video(video) as (container, stream):
        found = _describe(container, stream)
        return {**found, "frames": count_shown(packets(container, stream))}


def _describe(container: InputContainer, stream: VideoStream) -> dict[str, Any]:
    """What `probe` returns but for the number of frames; nothing has been read yet."""
    rate, duration = stream.average_rate, container.duration
    return {
        "codec": stream.codec_context.name,
        "container": container.format.name,
        "width": stream.codec_context.width,
        "height": stream.codec_context.height,
        "fps": None if rate is None else float(rate),
        "duration": None if duration is None else duration / 1_000_000,
        "start_pts": stream.start_time,
        "time_base": str(stream.time_base),
    }


def _by_index(
    video: Path, indices: list[int], convert: Convert, fingerprint: dict[str, Any] | None
) -> Iterator[Frame | FrameFailure]:
    # A quick opening would leave out some of the fingerprint.
    opening = open_for_index(video) if fingerprint is None else open_video(video)
    with opening as (container, stream):
        found = _describe(container, stream)
        index = build(container, stream, indices[-1], count_all=fingerprint is not None)
        if fingerprint is not None:
            fingerprint |= {**found, "frames": index.total}
        inside = [number for number in indices if number < len(index.order)]
        if not inside:
            raise Doubt("no wanted frame in the index")
        for span in group_into_spans(index, inside):
            for number, frame in decode_span(container, stream, index, span):
                yield _to_frame(number, frame, stream, "index", convert)
        for number in indices[len(inside) :]:
            yield _beyond_end(video, number, len(index.order))


def _in_sequence(
    video: Path, indices: list[int], way: str, convert: Convert
) -> Iterator[Frame | FrameFailure]:
    remaining = iter(indices)
    target = next(remaining, None)
    count = 0
    is_tainted = False
    with open_video(video) as (container, stream):
        for frame in sequential(container, stream):
            # What was made up stays in the pictures that follow, up to the next key frame.
            is_tainted = frame.is_corrupt or (is_tainted and not frame.key_frame)
            if count == target:
                made = _to_frame(count, frame, stream, way, convert)
                yield replace(made, concealed=is_tainted)
                target = next(remaining, None)
                if target is None:
                    return
            count += 1
    if not count:
        raise FrameError(Reason.CORRUPT_VIDEO, f"{video.name}: no frame can be decoded")
    while target is not None:
        yield _beyond_end(video, target, count)
        target = next(remaining, None)


def _to_frame(
    index: int, frame: VideoFrame, stream: VideoStream, way: str, convert: Convert
) -> Frame:
    seconds = None
    if frame.pts is not None and stream.time_base is not None:
        seconds = float(frame.pts * stream.time_base)
    transfer = _TRANSFERS.get(int(frame.color_trc), "")
    return Frame(index, frame.pts, seconds, way, convert(frame), transfer)


def _beyond_end(video: Path, index: int, count: int) -> FrameFailure:
    detail = f"{video.name} has only {count} frames"
    return FrameFailure(index, Reason.FRAME_BEYOND_END, detail, count)
