"""The National Gallery of Art: requested sizes, kept pictures, and when one counts as gone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saco_data.config.settings import Settings
from saco_data.engine.sync import sync
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Outcome
from saco_data.sandbox.http_server import Answer, Fault, Faults, FileServer
from saco_data.sandbox.nga import Gallery, Picture
from saco_data.sources.nga import Row, read
from saco_data.storage.names import UnsafeName
from saco_data.transports.base import Failure
from tests.helpers.annotations import annotate, document, image
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pictures import noise_jpeg
from tests.helpers.pipeline import Notes, items, prepare, products
from tests.helpers.web import ask, production, reasons, uuid

FAST = {"limits": {"nga": {"requests_per_second": 0}}}


def opened(folder: Path, server: FileServer, house: Gallery, **keys: Any) -> Settings:
    """The config for the gallery on a server, with annotations of all its pictures."""
    annotate(folder, "nga", document(*(image(n, f"{each}.jpg") for n, each in numbered(house))))
    catalogue, iiif = house.mount(server)
    endpoints = {"nga_catalogue": catalogue, "nga_iiif": iiif}
    return config(folder, endpoints=endpoints, **FAST, **keys)


def numbered(house: Gallery) -> Iterator[tuple[int, str]]:
    return iter(enumerate(house.pictures))


@pytest.mark.parametrize(
    ("row", "size"),
    [
        (Row("4000", "3000", "", "1"), "full"),
        (Row("4000", "3000", "640", "0"), "!640,640"),
        (Row("4000", "3000", "640.0", "0"), "!640,640"),
        (Row("600", "500", "640", "0"), "full"),
        (Row("640", "500", "640", "0"), "!640,640"),
        (Row("500", "900", "640", "0"), "!640,640"),
        (Row("", "", "640", "0"), "!640,640"),
        (Row("wide", "500", "640", "0"), "!640,640"),
    ],
)
def test_the_size_follows_the_catalogue(row: Row, size: str) -> None:
    assert row.size == size


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 9000))
def test_the_requested_size_is_never_above_the_limit(width: int, height: int, limit: int) -> None:
    size = Row(str(width), str(height), f"{limit}.0", "0").size
    assert size == f"!{limit},{limit}" or (size == "full" and max(width, height) < limit)


def test_pictures_arrive_in_the_annotated_size_and_unchanged_where_they_have_it(
    tmp_path: Path, server: FileServer
) -> None:
    same, large, grey = noise_jpeg(160, 120), noise_jpeg(640, 480), noise_jpeg(320, 240, "L")
    pictures = {uuid(0): Picture(same), uuid(1): Picture(large, 160), uuid(2): Picture(grey)}
    pictures[uuid(3)] = Picture(same, available=False)
    settings = opened(tmp_path, server, Gallery(pictures))
    assert prepare(settings, "nga") == 0
    made = products(settings, "nga")
    assert set(made) == {f"{uuid(n)}.jpg" for n in range(3)}
    assert made[f"{uuid(0)}.jpg"] == same
    assert all(Image.open(io.BytesIO(each)).size == (160, 120) for each in made.values())
    assert Image.open(io.BytesIO(made[f"{uuid(2)}.jpg"])).mode == "L"
    known = items(settings, "nga")
    assert known[f"{uuid(0)}.jpg"].facts["openaccess"] is True
    facts = {"openaccess": False, "maxpixels": "160", "size": [160, 120]}
    assert facts.items() <= known[f"{uuid(1)}.jpg"].facts.items()
    assert known[f"{uuid(3)}.jpg"].reason is Reason.HTTP_404
    before = server.requests.total()
    assert prepare(settings, "nga") == 0
    assert server.requests.total() == before


def test_a_picture_with_a_new_version_is_fetched_again(tmp_path: Path, server: FileServer) -> None:
    pictures = {uuid(n): Picture(noise_jpeg(160, 120)) for n in range(3)}
    settings = opened(tmp_path, server, Gallery(pictures))
    prepare(settings, "nga")
    pictures[uuid(1)] = Picture(noise_jpeg(160, 120))
    synced = sync(settings, ["nga"], Notes(), executor=InlineExecutor())
    assert synced.checked["nga"].followed == [uuid(1)]
    assert products(settings, "nga")[f"{uuid(1)}.jpg"] == pictures[uuid(1)].content
    assert sync(settings, ["nga"], Notes(), executor=InlineExecutor()).checked["nga"].followed == []


def test_the_limit_is_requested_as_an_integer(tmp_path: Path, server: FileServer) -> None:
    settings = opened(tmp_path, server, Gallery({uuid(0): Picture(noise_jpeg(640, 480), 160)}))
    assert reasons(ask(settings, "nga")) == {uuid(0): Reason.OK}
    assert server.requests[f"/nga/iiif/{uuid(0)}/full/!160,160/0/default.jpg"] == 1


def test_a_picture_above_the_limit_is_never_kept(tmp_path: Path, server: FileServer) -> None:
    house = Gallery({uuid(0): Picture(noise_jpeg(640, 480), 160)}, ignores_size=True)
    settings = opened(tmp_path, server, house)
    (found,) = ask(settings, "nga").values()
    assert isinstance(found, Outcome)
    assert found.reason is Reason.WRONG_SIZE and "640 x 480" in found.detail
    assert list((tmp_path / "data/nga/raw").iterdir()) == []
    # Nor is one used that a killed run left on disk.
    (tmp_path / f"data/nga/raw/{uuid(0)}.jpg").write_bytes(noise_jpeg(640, 480))
    house.ignores_size = False
    (found,) = ask(settings, "nga").values()
    assert isinstance(found, Arrival) and isinstance(found.raw, Path)
    assert Image.open(found.raw).size == (160, 120)
    assert server.requests[f"/nga/iiif/{uuid(0)}/full/!160,160/0/default.jpg"] == 2


def test_the_server_gives_4096_pixels_a_side_at_most(tmp_path: Path, server: FileServer) -> None:
    pictures = {
        uuid(0): Picture(noise_jpeg(5000, 50)),
        uuid(1): Picture(noise_jpeg(5000, 50), 4500),
    }
    found = ask(opened(tmp_path, server, Gallery(pictures)), "nga")
    for each in found.values():
        assert isinstance(each, Arrival) and isinstance(each.raw, Path)
        assert Image.open(each.raw).size[0] == 4096


def test_gone_pictures_have_a_reason(tmp_path: Path, server: FileServer) -> None:
    picture = noise_jpeg(160, 120)
    pictures = {uuid(1): Picture(picture, available=False), uuid(2): Picture(picture, listed=False)}
    settings = opened(tmp_path, server, Gallery(pictures))
    assert reasons(ask(settings, "nga")) == {
        uuid(1): Reason.HTTP_404,
        uuid(2): Reason.NOT_IN_CATALOGUE,
    }


def test_the_catalogue_is_requested_again_only_if_a_picture_is_missing(
    tmp_path: Path, server: FileServer
) -> None:
    picture = noise_jpeg(160, 120)
    house = Gallery({uuid(0): Picture(picture)})
    settings = opened(tmp_path, server, house)
    assert reasons(ask(settings, "nga")) == {uuid(0): Reason.OK}
    catalogue = "/nga/published_images.csv"
    seen = server.requests[catalogue]
    (tmp_path / f"data/nga/raw/{uuid(0)}.jpg").unlink()
    assert reasons(ask(settings, "nga")) == {uuid(0): Reason.OK}
    assert server.requests[catalogue] == seen
    # A picture was published: the changed catalogue is fetched again.
    house.pictures[uuid(1)] = Picture(picture)
    settings = opened(tmp_path, server, house)
    assert reasons(ask(settings, "nga")) == {uuid(0): Reason.OK, uuid(1): Reason.OK}
    # An unknown picture: the same version of the catalogue is not downloaded again.
    house.pictures[uuid(2)] = Picture(picture, listed=False)
    settings = opened(tmp_path, server, house)
    sent = server.bytes_sent
    assert reasons(ask(settings, "nga"))[uuid(2)] is Reason.NOT_IN_CATALOGUE
    assert server.bytes_sent - sent < 10


def test_a_picture_that_cannot_be_looked_up_does_not_hold_up_the_others(
    tmp_path: Path, server: FileServer
) -> None:
    house = Gallery({uuid(0): Picture(noise_jpeg(160, 120))})
    assert reasons(ask(opened(tmp_path, server, house), "nga")) == {uuid(0): Reason.OK}
    (tmp_path / f"data/nga/raw/{uuid(0)}.jpg").unlink()
    house.pictures[uuid(1)] = Picture(noise_jpeg(160, 120), listed=False)
    settings = opened(tmp_path, server, house)
    known = (tmp_path / "data/nga/published_images.csv").read_bytes()
    settings = config(
        tmp_path,
        endpoints={
            "nga_catalogue": f"{server.url}/elsewhere.csv",
            "nga_iiif": settings.subset("nga").endpoint("iiif"),
        },
    )
    assert reasons(ask(settings, "nga")) == {uuid(0): Reason.OK, uuid(1): Reason.RAW_MISSING}
    assert (tmp_path / "data/nga/published_images.csv").read_bytes() == known


@pytest.mark.parametrize(
    "fault", [Fault.WRONG_LENGTH, Fault.WRONG_BYTES, Fault.HTML, Fault.RESET, Fault.SHORT_BODY]
)
def test_a_damaged_catalogue_makes_no_picture_gone(
    tmp_path: Path, server: FileServer, fault: Fault
) -> None:
    house = Gallery({uuid(n): Picture(noise_jpeg(16, 12)) for n in range(2)})
    settings = opened(tmp_path, server, house)
    server.faults = Faults((fault,), probability=1, first=2)
    found = reasons(ask(settings, "nga"))
    assert set(found.values()) == {Reason.OK} and len(found) == 2


def test_a_moved_catalogue_makes_no_picture_gone(tmp_path: Path, server: FileServer) -> None:
    opened(tmp_path, server, Gallery({uuid(0): Picture(noise_jpeg(160, 120))}))
    settings = config(tmp_path, endpoints={"nga_catalogue": f"{server.url}/elsewhere.csv"})
    with pytest.raises(Blocked, match="Correct `endpoints: nga_catalogue`") as caught:
        ask(settings, "nga")
    assert caught.value.reason is Reason.RAW_MISSING


def test_a_table_without_the_columns_is_refused(tmp_path: Path, server: FileServer) -> None:
    server.files["/table.csv"] = b"uuid,width\n1,2\n"
    annotate(tmp_path, "nga", document(image(0, f"{uuid(0)}.jpg")))
    settings = config(tmp_path, endpoints={"nga_catalogue": f"{server.url}/table.csv"})
    with pytest.raises(Failure, match="not what was expected"):
        ask(settings, "nga")
    assert list((tmp_path / "data/nga").iterdir()) == []


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        '\ufeffmaxpixels,assistivetext,openaccess,height,uuid,width\n640,"a, b",0,3,AB,4\n',
        encoding="utf-8",
    )
    assert read(path, ["ab"]) == {"ab": Row("4", "3", "640", "0")}


def test_a_name_without_a_uuid_is_refused(tmp_path: Path) -> None:
    annotate(tmp_path, "nga", document(image(0, "cat.jpg")))
    with pytest.raises(UnsafeName, match="UUID"):
        ask(config(tmp_path), "nga")


def test_a_throttled_gallery_is_not_asked_again_and_finished_later(
    tmp_path: Path, server: FileServer
) -> None:
    house = Gallery({uuid(n): Picture(noise_jpeg(160, 120)) for n in range(3)})
    settings = opened(tmp_path, server, house)
    server.faults = Faults((Fault.THROTTLED,), probability=1, retry_after=3600)
    assert prepare(settings, "nga") == 4
    known = items(settings, "nga").values()
    assert {(item.reason, item.attempts) for item in known} == {(Reason.THROTTLED, 0)}
    server.faults = None
    assert prepare(settings, "nga") == 0


def test_the_production_addresses_are_right(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Gallery(
        {uuid(0): Picture(noise_jpeg(640, 480), 160), uuid(1): Picture(noise_jpeg(160, 120))}
    )
    house.mount_images(server, "/iiif")
    path = "/NationalGalleryOfArt/opendata/main/data/published_images.csv"
    server.route(path, lambda query: Answer(house.catalogue()))
    annotate(tmp_path, "nga", document(*(image(n, f"{uuid(n)}.jpg") for n in range(2))))
    with production(server, "raw.githubusercontent.com", "api.nga.gov") as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        found = reasons(ask(config(tmp_path, **FAST), "nga"))
    assert found == {uuid(0): Reason.OK, uuid(1): Reason.OK}
    assert server.requests[f"/iiif/{uuid(0)}/full/!160,160/0/default.jpg"] == 1


def test_the_catalogue_is_read_as_tables_are_written_elsewhere(tmp_path: Path) -> None:
    table = tmp_path / "published_images.csv"
    head = "\ufeffassistivetext,uuid,width,height,maxpixels,openaccess\r\n"
    table.write_text(head + '"two\nlines, ""quoted""",AB-1,20,10,640,0\r\n,cd-2,7,8\r\n')
    rows = read(table, ["ab-1", "cd-2", "ef-3"])
    assert rows == {"ab-1": Row("20", "10", "640", "0"), "cd-2": Row("7", "8", "", "")}
    for content in (head + "\r\na,b,1,2,3,4,5\r\n", head + '"open,b,1,2,3,4\r\n', "uuid\r\n", ""):
        table.write_text(content)
        with pytest.raises(ValueError, match=r"line 3 has|unexpected end|not in list"):
            read(table, ["b"])
