"""A tiny video and picture whose results tell whether two machines make the same bytes."""

from __future__ import annotations

import hashlib
import io
import platform
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import av
import numpy as np
from PIL import Image

from saco_data.media import frames
from saco_data.media.images import encode_jpeg, resize_like_official
from saco_data.model.version import __version__

FRAMES, WIDTH, HEIGHT = 6, 96, 64
SMALLER = (61, 43)  # width and height in pixels
PACKAGES = ("simplejpeg", "pillow", "numpy")


@dataclass(frozen=True, slots=True)
class Fixture:
    """An MP4 of a few frames and a PNG, both of them drawn, as the bytes of their files."""

    video: bytes
    picture: bytes


def draw() -> Fixture:
    """A new fixture. Its own bytes may differ between machines: give one to all of them."""
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    pictures = [
        np.stack([(right * 5 + 9 * n) % 256, (down * 7) % 256, (right * down + n) % 256], axis=2)
        for n in range(FRAMES)
    ]
    video, picture = io.BytesIO(), io.BytesIO()
    with av.open(video, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=6)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for each in pictures:
            frame = av.VideoFrame.from_ndarray(each.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    Image.fromarray(pictures[0].astype(np.uint8)).save(picture, "PNG")
    return Fixture(video.getvalue(), picture.getvalue())


def fingerprint(fixture: Fixture) -> dict[str, str]:
    """The sha256 of what this machine makes of a fixture, by the name of the step."""
    decoded, saved = hashlib.sha256(), hashlib.sha256()
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(fixture.video)
        file.flush()
        for frame in frames.extract(Path(file.name), range(FRAMES)):
            assert isinstance(frame, frames.Frame)
            decoded.update(frame.rgb.tobytes())
            saved.update(encode_jpeg(frame.rgb, (SMALLER[1], SMALLER[0])))
    resized = resize_like_official(fixture.picture, SMALLER)
    return {
        "decoded frames": decoded.hexdigest(),
        "frames resized and saved as JPEG": saved.hexdigest(),
        "a resized picture": hashlib.sha256(resized).hexdigest(),
    }


def versions() -> dict[str, str]:
    """The versions of all that the bytes of products depend on, by name."""
    return {
        "saco-data": __version__,
        "Python": platform.python_version(),
        "C library": "-".join(platform.libc_ver()),
        "processor": platform.machine(),
        **frames.versions(),
        **{name: metadata.version(name) for name in PACKAGES},
    }
