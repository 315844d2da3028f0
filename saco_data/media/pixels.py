"""Converts decoded frames to RGB, with exactly the values that OpenCV gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

if TYPE_CHECKING:
    import numpy.typing


# Of these, where the number of rows is even, FFmpeg makes RGB as it makes BGR. With other formats
# and sizes its direct RGB differs by up to 4 levels.
_SAME_AS_BGR = {"yuv420p", "yuvj420p"}


class Pixels:
    """Converts the frames of one video. One object a video: its tables are slow to build."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def rgb(self, frame: VideoFrame) -> numpy.typing.NDArray[numpy.uint8]:
        """uint8 [height, width, 3], turned by the frame's rotation (0, 90, 180 or 270 degrees)."""
        # OpenCV converts to BGR with bicubic chroma.
        is_direct = frame.format.name in _SAME_AS_BGR and frame.height % 2 == 0
        picture = self._reformatter.reformat(
            frame,
            format="rgb24" if is_direct else "bgr24",
            interpolation=Interpolation.BICUBIC,
            threads=1,
        ).to_ndarray()
        turns, slant = divmod(frame.rotation, 90)
        if not slant:  # OpenCV ignores a rotation by other angles
            picture = numpy.rot90(picture, turns % 4)
        if is_direct:
            return numpy.ascontiguousarray(picture, dtype=numpy.uint8)
        rgb = numpy.empty(picture.shape, dtype=numpy.uint8)
        # One channel at a time: several times as fast as a reversed copy.
        for channel in range(3):
            rgb[..., channel] = picture[..., 2 - channel]
        return rgb
