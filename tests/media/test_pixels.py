"""Pixels: where RGB is made directly it has the values that come by way of BGR."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from saco_data.media.pixels import Pixels

# Widths around those at which vector code hands over to other code.
WIDTHS = [*range(1, 68), 96, 126, 130, 642, 1278]
HEIGHTS = (1, 2, 3, 4, 18, 33, 48)
FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12")
COLOUR_SPACES = (1, 2, 5, 9)
RANGES = (0, 1, 2)


@pytest.mark.parametrize("pixels", FORMATS)
def test_rgb_has_the_values_of_bgr(pixels: str) -> None:
    rng = np.random.default_rng(0)
    for width in WIDTHS:
        for height in HEIGHTS:
            frame: Any = av.VideoFrame(width, height, pixels)
            for plane in frame.planes:
                top = 4 if pixels.endswith("10le") else 256
                noise = rng.integers(0, top, plane.buffer_size, dtype=np.uint8)
                plane.update(noise.tobytes())
            for frame.colorspace in COLOUR_SPACES:
                for frame.color_range in RANGES:
                    bgr = frame.to_ndarray(format="bgr24", interpolation=Interpolation.BICUBIC)
                    rgb = Pixels().rgb(frame)
                    assert rgb.flags.c_contiguous and rgb.flags.writeable
                    assert np.array_equal(rgb, bgr[..., ::-1]), (width, height)
