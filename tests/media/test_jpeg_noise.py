"""Noise outside of a JPEG's coded data is no damage; damage inside of it is."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from PIL import Image

from saco_data.media.images import ImageError, check_image
from saco_data.model.reasons import Reason
from tests.helpers.pictures import encode

CASES = Path(__file__).parents[1] / "data" / "cases"
NOISE = Image.effect_noise((160, 120), 60)
KINDS = {
    "baseline": encode(NOISE.convert("RGB"), quality=60),
    "progressive": encode(NOISE.convert("RGB"), quality=60, progressive=True),
    "grey": encode(NOISE.convert("L"), quality=60),
    "cmyk": encode(NOISE.convert("CMYK"), quality=60),
    "restarts": encode(NOISE.convert("RGB"), quality=60, restart_marker_rows=1),
}


def after_start(data: bytes, more: bytes) -> bytes:
    """The bytes with more of them after the first segment."""
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + more + data[at:]


NOISES: dict[str, Callable[[bytes], bytes]] = {
    "junk after the start": lambda data: after_start(data, b"junk" * 9),
    "bad ICC": lambda data: after_start(data, b"\xff\xe2\0\x20ICC_PROFILE\0\x05\x02" + bytes(16)),
    "zeros before the end": lambda data: data[:-2] + bytes(5000) + data[-2:],
    "0xff before the end": lambda data: data[:-2] + b"\xff" * 500 + data[-2:],
    "bytes after the end": lambda data: data + b"trailer" * 50,
    "odd application data": lambda data: after_start(data, b"\xff\xe1\0\x0cExif\0\0oddX"),
}


def pixels(data: bytes) -> numpy.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return numpy.asarray(image)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", NOISES)
def test_noise_outside_of_coded_data_is_no_damage(kind: str, noise: str) -> None:
    data = NOISES[noise](KINDS[kind])
    assert check_image(data, name="a.jpg") == (160, 120)
    assert (pixels(data) == pixels(KINDS[kind])).all()


@pytest.mark.parametrize(
    "case", ["clean", "icc_numbered_wrongly", "junk_between_segments", "padding_before_end"]
)
def test_the_cases_are_sound(case: str) -> None:
    check_image((CASES / f"{case}.jpg").read_bytes(), name=case)
    assert (
        pixels((CASES / f"{case}.jpg").read_bytes()) == pixels((CASES / "clean.jpg").read_bytes())
    ).all()


def test_a_picture_without_its_end_is_damaged() -> None:
    for vouched in (False, True):
        with pytest.raises(ImageError) as told:
            check_image((CASES / "no_end_mark.jpg").read_bytes(), name="a", vouched=vouched)
        assert told.value.reason is Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", NOISES)
def test_damage_that_is_found_alone_is_found_below_noise_too(kind: str, noise: str) -> None:
    dice, found = random.Random(7), 0
    for _ in range(30):
        data = bytearray(KINDS[kind])
        at = dice.randrange(data.rindex(b"\xff\xda") + 40, len(data) - 40)
        data[at : at + 3] = dice.randbytes(3)
        if not is_sound(bytes(data)):
            found += 1
            assert not is_sound(NOISES[noise](bytes(data)))
    assert found


def is_sound(data: bytes) -> bool:
    try:
        check_image(data, name="a.jpg")
    except ImageError:
        return False
    return True


def test_a_checksum_vouches_for_odd_bytes() -> None:
    data = KINDS["baseline"]
    odd = data[:-2] + random.Random(1).randbytes(500).replace(b"\xff", b"") + data[-2:]
    with pytest.raises(ImageError):
        check_image(odd, name="a.jpg")
    assert check_image(odd, name="a.jpg", vouched=True) == (160, 120)
