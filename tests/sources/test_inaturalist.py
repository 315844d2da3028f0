"""iNaturalist: the name mapping, and the members of the archive that it names."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.catalog.registry import builtin
from saco_data.config.settings import Settings
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.packing import pack_tar_gz
from saco_data.sources.inaturalist import read
from saco_data.transports.base import Failure
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.pipeline import items, prepare, products
from tests.helpers.web import ask, production, reasons

NAMES = {"1.jpg": "Aves/Parus major/a1.jpg", "2.jpg": "Aves/Parus major/b2.jpg"}
OTHER = "Plantae/Quercus alba/c3.jpg"


@pytest.fixture(scope="module")
def archive(jpeg: bytes) -> bytes:
    members = {f"train_val_images/{name}": jpeg for name in (OTHER, *NAMES.values())}
    return pack_tar_gz(members)


@pytest.fixture
def server(archive: bytes) -> Iterator[FileServer]:
    text = json.dumps(NAMES).encode()
    with FileServer({"/a/train_val_images.tar.gz": archive, "/m.json": text}) as running:
        yield running


def opened(folder: Path, server: FileServer, *names: str, **keys: Any) -> Settings:
    annotate(folder, "inaturalist", document(*(image(n, each) for n, each in enumerate(names))))
    endpoints = {
        "inaturalist_archive": f"{server.url}/a/train_val_images.tar.gz",
        "inaturalist_mapping": f"{server.url}/m.json",
    }
    return config(folder, **{"endpoints": endpoints, **keys})


def test_members_arrive_unchanged_and_missing_ones_have_a_reason(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    server.files["/m.json"] = json.dumps({**NAMES, "3.jpg": "Aves/Parus major/d4.jpg"}).encode()
    settings = opened(tmp_path, server, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert prepare(settings, "inaturalist") == 0
    assert products(settings, "inaturalist") == {"1.jpg": jpeg, "2.jpg": jpeg}
    known = items(settings, "inaturalist")
    assert known["3.jpg"].reason is Reason.NOT_IN_ARCHIVE
    assert known["4.jpg"].reason is Reason.NOT_IN_CATALOGUE
    before = server.requests.total()
    assert prepare(settings, "inaturalist") == 0
    assert server.requests.total() == before


def test_only_wanted_members_are_written(tmp_path: Path, server: FileServer) -> None:
    assert reasons(ask(opened(tmp_path, server, "1.jpg"), "inaturalist")) == {"1.jpg": Reason.OK}
    assert [path.name for path in (tmp_path / "data/inaturalist/raw").iterdir()] == ["1.jpg"]


@pytest.mark.parametrize("inner", ["", "train_val_images"])
def test_a_local_copy_and_an_extracted_folder_work(
    tmp_path: Path, server: FileServer, archive: bytes, jpeg: bytes, inner: str
) -> None:
    if inner:
        place = tmp_path / "inat" / inner
        (place / NAMES["1.jpg"]).parent.mkdir(parents=True)
        (place / NAMES["1.jpg"]).write_bytes(jpeg)
    else:
        place = tmp_path / "copy.tar.gz"
        place.write_bytes(archive)
    settings = opened(tmp_path, server, "1.jpg", inaturalist_raw=str(place))
    found = ask(settings, "inaturalist")["1.jpg"]
    assert isinstance(found, Arrival)
    assert (found.raw if isinstance(found.raw, bytes) else found.raw.read_bytes()) == jpeg
    assert server.requests["/a/train_val_images.tar.gz"] == 0


def test_another_mapping_is_used_with_a_warning_and_kept(
    tmp_path: Path, server: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = opened(tmp_path, server, "1.jpg")
    with caplog.at_level(logging.WARNING):
        ask(settings, "inaturalist")
    assert "not the published mapping" in caplog.text
    (tmp_path / "data/inaturalist/raw/1.jpg").unlink()
    ask(settings, "inaturalist")
    assert server.requests["/m.json"] == 1
    assert not (tmp_path / "data/inaturalist/inaturalist_image_subset.json").exists()


def test_the_mapping_may_be_a_local_file(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / "names.json").write_text(json.dumps(NAMES))
    archive = f"{server.url}/a/train_val_images.tar.gz"
    endpoints = {"inaturalist_archive": archive, "inaturalist_mapping": "names.json"}
    settings = opened(tmp_path, server, "1.jpg", endpoints=endpoints)
    assert reasons(ask(settings, "inaturalist")) == {"1.jpg": Reason.OK}
    (tmp_path / "names.json").write_text("[]")
    (tmp_path / "data/inaturalist/raw/1.jpg").unlink()
    with pytest.raises(Blocked, match="mapping of names cannot be used"):
        ask(settings, "inaturalist")


@pytest.mark.parametrize("fault", [Fault.WRONG_LENGTH, Fault.WRONG_BYTES, Fault.HTML])
def test_a_damaged_mapping_is_fetched_again(
    tmp_path: Path, server: FileServer, fault: Fault
) -> None:
    settings = opened(tmp_path, server, "1.jpg")
    server.faults = Faults((fault,), probability=1, first=1)
    source_only = {"/m.json": server.files["/m.json"]}
    with FileServer(source_only, faults=server.faults) as other:
        endpoints = dict(settings.keys.endpoints, inaturalist_mapping=f"{other.url}/m.json")
        server.faults = None
        settings = opened(tmp_path, server, "1.jpg", endpoints=endpoints)
        assert reasons(ask(settings, "inaturalist")) == {"1.jpg": Reason.OK}
        assert other.requests["/m.json"] == 2


@pytest.mark.parametrize("text", ["{}", "[1]", '{"1.jpg": 2}', '{"1.jpg": "../x.jpg"}', "{"])
def test_other_content_than_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ValueError, match=r"not|name|Expecting"):
        read(tmp_path / "m.json")


HOSTS = ("raw.githubusercontent.com", "ml-inat-competition-datasets.s3.amazonaws.com")
PLACE = "/facebookresearch/sam3/main/scripts/eval/silver/inaturalist_image_subset.json"


def at_production(server: FileServer, mapping: bytes, archive: bytes) -> None:
    server.files[PLACE] = mapping
    server.files["/2017/train_val_images.tar.gz"] = archive


def test_the_production_addresses_are_right_and_the_mapping_is_pinned(
    tmp_path: Path,
    server: FileServer,
    jpeg: bytes,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mapping = (shared_data / "inaturalist_image_subset.json").read_bytes()
    assert (
        hashlib.sha256(mapping).hexdigest()
        == builtin().find("inaturalist").pinned["mapping"].sha256
    )
    member = json.loads(mapping)["0.jpg"]
    # More than a twentieth of the archive follows: it is not read to its end, nor its md5 checked.
    rest = random.Random(1).randbytes(16_000_000)
    packed = pack_tar_gz({f"train_val_images/{member}": jpeg, "train_val_images/rest": rest})
    at_production(server, mapping, packed)
    annotate(tmp_path, "inaturalist", document(image(0, "0.jpg")))
    with production(server, *HOSTS) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        found = reasons(ask(config(tmp_path), "inaturalist"))
    assert found == {"0.jpg": Reason.OK}
    kept = tmp_path / "data/inaturalist/inaturalist_image_subset.json"
    assert kept.read_bytes() == mapping


def test_another_file_at_the_published_address_is_never_used(
    tmp_path: Path, server: FileServer, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_production(server, json.dumps(NAMES).encode(), archive)
    annotate(tmp_path, "inaturalist", document(image(0, "1.jpg")))
    with production(server, HOSTS[0]) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Failure, match="sha256 differs"):
            ask(config(tmp_path), "inaturalist")
    assert not (tmp_path / "data/inaturalist/inaturalist_image_subset.json").exists()
