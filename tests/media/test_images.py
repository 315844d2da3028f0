"""Pictures: bytes as Pillow writes them, damage found, hostile sizes refused."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from saco_data.media.images import ImageError, check_image, encode_jpeg, resize_like_official
from saco_data.model.reasons import Reason


def picture(width: int = 160, height: int = 120, mode: str = "RGB") -> Image.Image:
    """A picture with edges, slopes and noise."""
    rng = np.random.default_rng(width * height)
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 3 % 256, y * 5 % 256, (x * y) % 256], axis=-1).astype(np.uint8)
    rgb[: height // 2] ^= rng.integers(0, 64, rgb[: height // 2].shape, dtype=np.uint8)
    return Image.fromarray(rgb).convert(mode)


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def refused(data: bytes) -> Reason:
    with pytest.raises(ImageError) as caught:
        check_image(data, name="a.jpg")
    assert str(caught.value).startswith("a.jpg: ")
    reason = caught.value.reason
    assert pickle.loads(pickle.dumps(caught.value)).reason is reason
    assert isinstance(reason, Reason)
    return reason


KINDS = {
    "baseline": ("JPEG", "RGB", {}),
    "progressive": ("JPEG", "RGB", {"progressive": True}),
    "grey": ("JPEG", "L", {}),
    "cmyk": ("JPEG", "CMYK", {}),
    "png": ("PNG", "RGB", {}),
    "palette png": ("PNG", "P", {}),
    "webp": ("WEBP", "RGB", {}),
    "gif": ("GIF", "P", {}),
    "bmp": ("BMP", "RGB", {}),
    "tiff": ("TIFF", "RGB", {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_pictures_pass_with_their_size(kind: str) -> None:
    format_, mode, options = KINDS[kind]
    data = saved(picture(mode=mode), format_, **options)
    assert check_image(data, name="a.jpg") == (160, 120)
    assert check_image(memoryview(data), name="a.jpg") == (160, 120)


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (8, 8), (33, 17)])
def test_tiny_pictures_pass(size: tuple[int, int]) -> None:
    assert check_image(saved(picture(*size)), name="a.jpg") == size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_cut_pictures_are_refused(kind: str, share: float) -> None:
    format_, mode, options = KINDS[kind]
    data = saved(picture(mode=mode), format_, **options)
    assert refused(data[: int(len(data) * share)]) in (Reason.CORRUPT_IMAGE, Reason.NOT_MEDIA)


@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey", "cmyk"])
@pytest.mark.parametrize("share", [0.4, 0.5, 0.75, 0.95])
def test_half_a_jpeg_with_an_end_marker_glued_on_is_refused(kind: str, share: float) -> None:
    format_, mode, options = KINDS[kind]
    data = saved(picture(mode=mode), format_, **options)
    assert refused(data[: int(len(data) * share)] + b"\xff\xd9") is Reason.CORRUPT_IMAGE


def test_half_a_png_with_its_end_glued_on_is_refused() -> None:
    data = saved(picture(), "PNG")
    assert refused(data[: len(data) // 2] + data[-12:]) is Reason.CORRUPT_IMAGE


def test_a_png_without_its_last_bytes_is_refused() -> None:
    assert refused(saved(picture(), "PNG")[:-12]) is Reason.CORRUPT_IMAGE


def test_a_png_with_one_wrong_bit_is_refused() -> None:
    data = bytearray(saved(picture(), "PNG"))
    data[len(data) // 2] ^= 4
    assert refused(bytes(data)) is Reason.CORRUPT_IMAGE


def test_padding_before_the_end_marker_is_accepted() -> None:
    data = saved(picture())
    assert check_image(data[:-2] + bytes(9) + data[-2:], name="a.jpg") == (160, 120)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"<!DOCTYPE html><html>", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_other_files_are_not_media(data: bytes) -> None:
    assert refused(data) is Reason.NOT_MEDIA


def test_a_jpeg_header_alone_is_refused() -> None:
    assert refused(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00") is Reason.CORRUPT_IMAGE


def test_a_decompression_bomb_is_refused_before_decoding() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    assert refused(png + chunk(b"IEND", b"")) is Reason.CORRUPT_IMAGE
    jpeg = bytearray(saved(picture()))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", 65000, 65000)
    assert refused(bytes(jpeg)) is Reason.CORRUPT_IMAGE


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_damage_ends_in_a_size_or_an_image_error(draw: st.DataObject) -> None:
    kind = draw.draw(st.sampled_from(sorted(KINDS)))
    format_, mode, options = KINDS[kind]
    data = bytearray(saved(picture(64, 48, mode), format_, **options))
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        width, height = check_image(bytes(data), name="a.jpg")
    except ImageError as error:
        assert error.reason in (Reason.CORRUPT_IMAGE, Reason.NOT_MEDIA)
    else:
        assert width > 0 and height > 0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.none() | st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_a_frame_is_encoded_as_the_official_scripts_do(
    width: int, height: int, size: tuple[int, int] | None
) -> None:
    image = picture(width, height)
    official = image
    if size is not None and image.size != (size[1], size[0]):
        official = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    assert encode_jpeg(np.asarray(image), size) == saved(official)


def test_a_frame_of_the_right_size_is_not_resized() -> None:
    image = picture()
    assert encode_jpeg(np.asarray(image), (120, 160)) == saved(image)
    assert encode_jpeg(np.asarray(image), (160, 120)) != saved(image)


def test_a_picture_of_the_right_size_comes_back_unchanged() -> None:
    data = saved(picture(), quality=93, icc_profile=b"profile")
    assert resize_like_official(data, (160, 120)) is data


def test_a_resized_picture_equals_pillows() -> None:
    data = saved(picture(), quality=93)
    expected = saved(Image.open(io.BytesIO(data)).resize((80, 61), Image.Resampling.BICUBIC))
    assert resize_like_official(data, (80, 61)) == expected


def test_resizing_keeps_the_comment_and_drops_the_rest() -> None:
    data = saved(
        picture(), icc_profile=b"profile", dpi=(300, 300), progressive=True, comment=b"Gallery"
    )
    image = Image.open(io.BytesIO(resize_like_official(data, (80, 60))))
    assert image.size == (80, 60)
    assert image.info["comment"] == b"Gallery"
    assert not {"icc_profile", "dpi", "progressive"} & image.info.keys()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_resizing_keeps_the_colour_mode(mode: str) -> None:
    image = Image.open(io.BytesIO(resize_like_official(saved(picture(mode=mode)), (80, 60))))
    assert image.mode == mode


def test_a_cut_picture_is_not_resized() -> None:
    data = saved(picture())
    with pytest.raises(ImageError) as caught:
        resize_like_official(data[: len(data) // 2], (80, 60))
    assert caught.value.reason is Reason.CORRUPT_IMAGE
