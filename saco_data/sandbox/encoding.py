"""Pictures and videos of drawn scenes, as files in memory."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from saco_data.sandbox.scene import Scene


def encode_jpeg(drawn: Scene, time: int = 0) -> bytes:
    """The scene at frame `time` as a JPEG."""
    return _save_jpeg(drawn.picture(time))


def enlarge_jpeg(content: bytes) -> bytes:
    """A JPEG at twice its width and height, as the original that it was made from."""
    with Image.open(io.BytesIO(content)) as image:
        size = (2 * image.width, 2 * image.height)
        return _save_jpeg(image.resize(size, Image.Resampling.LANCZOS))


def shrink_jpeg(content: bytes, side: int) -> bytes:
    """A JPEG scaled so that no side is longer than `side` pixels; unchanged if none is."""
    with Image.open(io.BytesIO(content)) as image:
        if max(image.size) <= side:
            return content
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return _save_jpeg(image.resize(size, Image.Resampling.LANCZOS))


def encode_mp4(drawn: Scene, frames: int, *, fps: int) -> bytes:
    """The scene as an h264 video with B-frames, the same bytes at every call."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # x264's macroblock tree and picture edges read memory that differs from run to run.
        options = {"preset": "veryfast", "crf": "18", "g": "12", "bf": "2", "threads": "1"}
        options["x264-params"] = "mbtree=0:rc-lookahead=0:sync-lookahead=0"
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = drawn.width, drawn.height, "yuv420p"
        for time in range(frames):
            pixels = np.asarray(drawn.picture(time))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _save_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()
