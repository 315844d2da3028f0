"""Seek indices of sources: made from a stream or a file, read by another copy, dropped in doubt."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.engine import seek_indexing
from saco_data.model.errors import UsageError
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.packing import pack_tar
from saco_data.sources.seek_index import own_index
from tests.conftest import Saco
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.miniatures import copied_products
from tests.helpers.pictures import noise_jpeg
from tests.helpers.pipeline import prepare, products
from tests.helpers.tar_gz import PACKERS
from tests.helpers.web import ask, reasons

COUNT = 60
ARCHIVE = "/a/train_val_images.tar.gz"
NAMES = {f"{number}.jpg": f"Aves/Parus major/{number:05d}.jpg" for number in range(COUNT)}
WANTED = ("10.jpg", "11.jpg", "40.jpg", "59.jpg")


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    return {f"train_val_images/{name}": noise_jpeg(800, 600) for name in NAMES.values()}


@pytest.fixture
def server(pictures: dict[str, bytes]) -> Iterator[FileServer]:
    archive = PACKERS["gnu"](pack_tar(pictures, tarfile.GNU_FORMAT))
    with FileServer({ARCHIVE: archive, "/m.json": json.dumps(NAMES).encode()}) as running:
        yield running


def opened(folder: Path, server: FileServer, *names: str, **keys: Any) -> Settings:
    folder.mkdir(exist_ok=True)
    annotate(
        folder,
        "inaturalist",
        document(*(image(n, each, width=800, height=600) for n, each in enumerate(names))),
    )
    endpoints = {
        "inaturalist_archive": f"{server.url}{ARCHIVE}",
        "inaturalist_mapping": f"{server.url}/m.json",
    }
    return config(folder, **{"endpoints": endpoints, **keys})


@pytest.fixture
def index(tmp_path: Path, server: FileServer) -> str:
    """An index of the wanted pictures, as another laboratory made it."""
    settings = opened(tmp_path / "other", server, *WANTED)
    done = seek_indexing.write(settings, "inaturalist", tmp_path / "index.jsonl.gz")
    assert (done.archives, done.members, done.missing) == (1, len(WANTED), 0)
    return f"{done.path}#sha256={done.sha256}"


def contents(settings: Settings) -> dict[str, bytes]:
    found = ask(settings, "inaturalist")
    assert set(reasons(found).values()) == {Reason.OK}
    read = {}
    for key, arrival in found.items():
        assert isinstance(arrival, Arrival)
        read[key] = arrival.raw if isinstance(arrival.raw, bytes) else arrival.raw.read_bytes()
    return read


def right(pictures: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: pictures[f"train_val_images/{NAMES[name]}"] for name in names}


def test_only_the_wanted_bytes_are_fetched(
    tmp_path: Path, server: FileServer, pictures: dict[str, bytes], index: str
) -> None:
    settings = opened(tmp_path / "mine", server, *WANTED, inaturalist_index=index)
    before = server.bytes_sent
    assert contents(settings) == right(pictures, *WANTED)
    got = server.bytes_sent - before
    assert got < 1.6 * sum(map(len, right(pictures, *WANTED).values()))
    assert not own_index_of(settings).exists()


def own_index_of(settings: Settings) -> Path:
    from saco_data import sources

    source = sources.make(settings.subset("inaturalist"))
    return own_index(source)  # type: ignore[arg-type]


def test_the_pipeline_prepares_the_same_pictures(
    tmp_path: Path, server: FileServer, pictures: dict[str, bytes], index: str
) -> None:
    settings = opened(tmp_path / "mine", server, *WANTED, inaturalist_index=index)
    assert prepare(settings, "inaturalist") == 0
    assert products(settings, "inaturalist") == right(pictures, *WANTED)
    before = server.requests.total()
    assert prepare(settings, "inaturalist") == 0
    assert server.requests.total() == before


def test_an_index_may_be_at_a_url(
    tmp_path: Path, server: FileServer, pictures: dict[str, bytes], index: str
) -> None:
    path, _, digest = index.partition("#sha256=")
    server.files["/i"] = Path(path).read_bytes()
    place = f"{server.url}/i#sha256={digest}"
    settings = opened(tmp_path / "mine", server, *WANTED, inaturalist_index=place)
    assert contents(settings) == right(pictures, *WANTED)
    assert server.requests["/i"] == 1


def test_a_local_archive_is_read_through_it_too(
    tmp_path: Path, server: FileServer, pictures: dict[str, bytes], index: str
) -> None:
    local = tmp_path / "copy.tar.gz"
    content = bytearray(server.files[ARCHIVE])  # type: ignore[arg-type]
    content[100:400] = bytes(300)  # of a member that nobody wants: it is never read
    local.write_bytes(content)
    keys = {"inaturalist_index": index, "inaturalist_raw": str(local)}
    settings = opened(tmp_path / "mine", server, *WANTED, **keys)
    before = server.requests[ARCHIVE]
    assert contents(settings) == right(pictures, *WANTED)
    assert server.requests[ARCHIVE] == before


def test_pictures_that_it_does_not_name_come_from_the_stream(
    tmp_path: Path,
    server: FileServer,
    pictures: dict[str, bytes],
    index: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = opened(tmp_path / "mine", server, *WANTED, "7.jpg", inaturalist_index=index)
    assert contents(settings) == right(pictures, *WANTED, "7.jpg")
    assert "1 files are not in the seek index" in caplog.text


def other_length(server: FileServer, index: str) -> str:
    server.files[ARCHIVE] = bytes(server.files[ARCHIVE]) + bytes(512)
    return index


def packed_anew(server: FileServer, index: str) -> str:
    data = gzip.decompress(server.files[ARCHIVE])  # type: ignore[arg-type]
    size = len(server.files[ARCHIVE])  # type: ignore[arg-type]
    new = gzip.compress(data, 1)
    server.files[ARCHIVE] = new.ljust(size, b"\0")
    return index


def other_etag(server: FileServer, index: str) -> str:
    server._versions[ARCHIVE] += 1
    return index


def no_ranges(server: FileServer, index: str) -> str:
    server.ranges = False
    return index


def no_digest(server: FileServer, index: str) -> str:
    return index.partition("#")[0]


def wrong_digest(server: FileServer, index: str) -> str:
    return index[:-64] + hashlib.sha256(b"").hexdigest()


def no_such_file(server: FileServer, index: str) -> str:
    return index.replace("index.jsonl.gz", "none")


def no_such_url(server: FileServer, index: str) -> str:
    return f"{server.url}/none#{index.partition('#')[2]}"


def damaged(server: FileServer, index: str) -> str:
    path = Path(index.partition("#")[0])
    path.write_bytes(path.read_bytes()[:-20])
    return f"{path}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


def shifted(server: FileServer, index: str) -> str:
    path = Path(index.partition("#")[0])
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    moved = [json.loads(line) for line in lines[1:]]
    for row in moved:
        row[1] += 1
    text = "\n".join([lines[0], *map(json.dumps, moved), ""])
    path.write_bytes(gzip.compress(text.encode()))
    return f"{path}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    "spoil",
    [
        other_length,
        packed_anew,
        other_etag,
        no_ranges,
        no_digest,
        wrong_digest,
        no_such_file,
        no_such_url,
        damaged,
        shifted,
    ],
)
def test_any_doubt_ends_in_one_line_and_in_the_stream(
    tmp_path: Path,
    server: FileServer,
    pictures: dict[str, bytes],
    index: str,
    caplog: pytest.LogCaptureFixture,
    spoil: Any,
) -> None:
    place = spoil(server, index)
    settings = opened(tmp_path / "mine", server, *WANTED, inaturalist_index=place)
    with caplog.at_level(logging.WARNING):
        assert contents(settings) == right(pictures, *WANTED)
    lines = [record.message for record in caplog.records if "seek index" in record.message]
    assert len(lines) == 1 and "the seek index is not used" in lines[0]
    assert lines[0].endswith("is read from its beginning")


def test_a_run_that_reads_the_whole_archive_leaves_its_index(
    tmp_path: Path, server: FileServer, pictures: dict[str, bytes]
) -> None:
    settings = opened(tmp_path / "one", server, *WANTED)
    assert contents(settings) == right(pictures, *WANTED)
    before = server.requests[ARCHIVE]
    done = seek_indexing.write(settings, "inaturalist", tmp_path / "index")
    assert (done.members, done.missing, server.requests[ARCHIVE]) == (len(WANTED), 0, before)
    place = f"{done.path}#sha256={done.sha256}"
    mine = opened(tmp_path / "mine", server, *WANTED, inaturalist_index=place)
    assert contents(mine) == right(pictures, *WANTED)


def test_a_run_that_stops_early_leaves_none(tmp_path: Path, server: FileServer) -> None:
    settings = opened(tmp_path, server, "1.jpg")
    contents(settings)
    assert not own_index_of(settings).exists()


def test_the_archive_at_the_published_address_must_be_the_published_one(
    tmp_path: Path, server: FileServer, pictures: dict[str, bytes]
) -> None:
    local = tmp_path / "copy.tar.gz"
    local.write_bytes(bytes(server.files[ARCHIVE]))
    settings = opened(
        tmp_path,
        server,
        "1.jpg",
        inaturalist_raw=str(local),
        endpoints={"inaturalist_mapping": f"{server.url}/m.json"},
    )
    with pytest.raises(Exception, match="md5 is not the published one"):
        seek_indexing.write(settings, "inaturalist", tmp_path / "index")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("subset", ["geode", "nga", "sa-v/val"])
def test_other_subsets_have_none(tmp_path: Path, subset: str) -> None:
    with pytest.raises(UsageError, match="are in no"):
        seek_indexing.write(config(tmp_path), subset, tmp_path / "index")


def test_the_archives_of_objects365_share_an_index(tmp_path: Path) -> None:
    name = "o365/val"
    subset = build_subset(name)
    with serve(tmp_path / "served", {name: subset}) as mounts:
        base = {"collections": {"o365": {"path": "o365"}}, **mounts.keys}
        for each in ("one", "two"):
            (tmp_path / each).mkdir()
        made = seek_indexing.write(config(tmp_path / "one", **base), name, tmp_path / "index")
        assert (made.archives, made.members, made.missing) == (5, 5, 1)
        place = f"{made.path}#sha256={made.sha256}"
        base["collections"] = {"o365": {"path": "o365", "index": {"val": place}}}
        settings = config(tmp_path / "two", **base)
        assert prepare(settings, name) == 0
        assert products(settings, name) == copied_products(subset)


def test_the_command_prints_the_line_for_the_config(
    tmp_path: Path, server: FileServer, saco: Saco
) -> None:
    settings = opened(tmp_path, server, *WANTED)
    done = saco("seek-index", "inaturalist", "--to", "i.gz", cwd=settings.root)
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256((tmp_path / "i.gz").read_bytes()).hexdigest()
    path = tmp_path / "i.gz"
    assert done.stdout.splitlines() == [
        "4 files in 1 archives",
        f"inaturalist_index: {path}#sha256={digest}",
    ]
    done = saco("seek-index", "inaturalist", "--to", "j.gz", "--json", cwd=settings.root)
    assert json.loads(done.stdout)["sha256"] == digest
