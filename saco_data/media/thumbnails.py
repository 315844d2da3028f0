"""Frames of a video as small JPEGs, for pages."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from saco_data.media.frames import FrameError, FrameFailure, extract
from saco_data.media.images import encode


def shrink_frames(video: Path, numbers: list[int], longest: int) -> dict[int, bytes]:
    """The frames as JPEGs of at most `longest` pixels a side, by number, as far as they are there.

    Empty where the video cannot be decoded.
    """
    found = {}
    try:
        for frame in extract(video, numbers):
            if isinstance(frame, FrameFailure):
                continue
            image = Image.fromarray(frame.rgb)
            image.thumbnail((longest, longest))
            found[frame.index] = encode(image)
    except (FrameError, OSError):
        return {}
    return found
