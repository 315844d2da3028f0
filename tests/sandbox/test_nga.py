"""The small gallery refuses what the real one refuses, and gives no more than it may."""

from __future__ import annotations

import csv
import io
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from PIL import Image

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.nga import Gallery, Picture
from tests.helpers.pictures import plain_jpeg

UUID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[str, str]]:
    with FileServer() as server:
        yield Gallery({UUID: Picture(plain_jpeg(5000, 100), 1000)}).mount(server)


def test_the_catalogue_has_the_published_columns(places: tuple[str, str]) -> None:
    with urllib.request.urlopen(places[0]) as answer:
        (row,) = csv.DictReader(io.TextIOWrapper(answer, encoding="utf-8"))
    assert len(row) == 13
    assert (row["uuid"], row["width"], row["maxpixels"]) == (UUID, "5000", "1000")


@pytest.mark.parametrize(
    ("size", "width"), [("full", 1000), ("!640,640", 640), ("!9000,9000", 1000)]
)
def test_sizes_are_kept_to(places: tuple[str, str], size: str, width: int) -> None:
    with urllib.request.urlopen(f"{places[1]}/{UUID}/full/{size}/0/default.jpg") as answer:
        assert Image.open(io.BytesIO(answer.read())).width == width


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{UUID}/full/!640.0,640.0/0/default.jpg", 400),
        (f"{UUID}/full/full/90/default.jpg", 400),
        ("other/full/full/0/default.jpg", 404),
    ],
)
def test_anything_else_is_refused(places: tuple[str, str], path: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{places[1]}/{path}")
    assert caught.value.code == status
