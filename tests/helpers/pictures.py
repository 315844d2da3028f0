"""Pictures as files in memory."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def plain_jpeg(width: int = 16, height: int = 12, colour: Any = (9, 90, 9)) -> bytes:
    """A JPEG of one colour."""
    return encode(Image.new("RGB", (width, height), colour))


def noise_jpeg(width: int = 160, height: int = 120, mode: str = "RGB") -> bytes:
    """A JPEG of noise: other bytes at every call, and large enough to be cut in the middle."""
    return encode(Image.effect_noise((width, height), 60).convert(mode), quality=40)


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture as the bytes of a file; `options` are those of Pillow's `save`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
