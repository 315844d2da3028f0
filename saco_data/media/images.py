"""Checks pictures; encodes and resizes them to the same bytes as the official scripts."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from saco_data.media.jpeg_noise import without_noise
from saco_data.model.reasons import Reason
from saco_data.model.records import MAX_PIXELS

if TYPE_CHECKING:
    import numpy
    import numpy.typing

# Other formats of Pillow (EPS, PDF...) start programs or are not for photographs.
FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF")
JPEG_START = b"\xff\xd8\xff"
# Some cameras pad the picture before its end marker: every pixel is there.
PADDED_END = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
MAX_PADDING = 64


class ImageError(Exception):
    """A picture that cannot be used: `reason` is NOT_MEDIA or CORRUPT_IMAGE, `detail` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


def encode_jpeg(
    rgb: numpy.typing.NDArray[numpy.uint8],
    size: tuple[int, int] | None = None,
    *,
    quality: int = 75,
) -> bytes:
    """A frame as the official scripts save it: Pillow's JPEG at quality 75, 4:2:0, no metadata.

    `rgb` is uint8 [height, width, 3]; it is resized (BICUBIC) only where `size`, (height, width),
    is given and differs. At quality 95 the bytes are also those of OpenCV's `imwrite`.
    """
    image = Image.fromarray(rgb)
    if size is not None and size != (image.height, image.width):
        image = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return encode(image, quality)


def check_image(data: bytes | memoryview, *, name: str, vouched: bool = False) -> tuple[int, int]:
    """Decodes a whole picture strictly and returns its (width, height) in pixels, as stored.

    `vouched`: a checksum says that the bytes are those that were published, so that only a picture
    that is cut counts as damaged. EXIF orientation is not applied. Raises ImageError: NOT_MEDIA
    where the data is not a picture, CORRUPT_IMAGE where it is cut, damaged, or so large that
    decoding could exhaust memory.
    """
    if bytes(data[:3]) == JPEG_START:
        return _check_jpeg(data, name, vouched=vouched)
    return _check_other(data, name)


def resize_like_official(data: bytes, size: tuple[int, int]) -> bytes:
    """A JPEG resized to `size`, (width, height), in its own colour mode, saved at quality 75.

    The JPEG comment is kept; ICC profile, DPI and progressive scan are not. A picture of the right
    size is returned unchanged. Raises ImageError as `check_image` does.
    """
    width, height = check_image(data, name="picture")
    if (width, height) == size:
        return data
    try:
        with Image.open(io.BytesIO(data)) as image:
            return encode(image.resize(size, Image.Resampling.BICUBIC))
    except (OSError, ValueError) as error:
        raise ImageError(
            Reason.CORRUPT_IMAGE, f"cannot be resized and saved as JPEG ({error})"
        ) from error


def encode(image: Image.Image, quality: int = 75) -> bytes:
    """The JPEG of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _check_jpeg(data: bytes | memoryview, name: str, *, vouched: bool) -> tuple[int, int]:
    # It imports numpy, which a run that decodes nothing does not need. Not below: a failed import
    # says nothing about the picture.
    import simplejpeg  # noqa: F401

    try:
        # Pillow reads the header: simplejpeg's does not know every subsampling.
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            width, height = image.size
        _check_pixels(width, height, name)
    except ImageError:
        raise
    except Exception as error:
        # For untrusted bytes the decoders raise many kinds of exceptions.
        raise ImageError(Reason.CORRUPT_IMAGE, f"{name}: {error}") from error
    try:
        _decode_strictly(data)
    except Exception as error:
        padding = PADDED_END.fullmatch(str(error))
        is_padded = padding is not None and int(padding[1]) <= MAX_PADDING
        is_noise = vouched and str(error).startswith("Corrupt JPEG data")
        # A careless copy may have been packed, checksum and all: half a picture is no noise.
        is_noise = is_noise and "premature end" not in str(error)
        if not (is_padded or is_noise or _decodes_without_noise(data)):
            raise ImageError(Reason.CORRUPT_IMAGE, f"{name}: {error}") from error
    return width, height


def _decode_strictly(data: bytes | memoryview) -> None:
    # Grey at an eighth of the size is fastest, and still reads every bit, so finds all damage.
    import simplejpeg

    simplejpeg.decode_jpeg(data, colorspace="GRAY", min_factor=8, strict=True)


def _decodes_without_noise(data: bytes | memoryview) -> bool:
    """Whether what the decoder complains of holds no pixels."""
    try:
        _decode_strictly(without_noise(data))
    except Exception:
        return False  # as above
    return True


def _check_other(data: bytes | memoryview, name: str) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image.width, image.height, name)
            image.verify()  # checksums; leaves the picture unusable, hence the second opening
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            return image.width, image.height
    except UnidentifiedImageError as error:
        raise ImageError(Reason.NOT_MEDIA, f"{name}: not a picture") from error
    except ImageError:
        raise
    except Exception as error:
        # As in `_check_jpeg`.
        raise ImageError(Reason.CORRUPT_IMAGE, f"{name}: {error}") from error


def _check_pixels(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            Reason.CORRUPT_IMAGE,
            f"{name}: claims {width} x {height} pixels, more than the {MAX_PIXELS} we decode",
        )
