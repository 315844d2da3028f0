"""Spoilt seek indices and archives: no wrong member, and all of them in the end."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saco_data.engine import seek_indexing
from saco_data.model.errors import Blocked
from saco_data.model.records import Arrival
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.transports.base import Failure
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.tar_gz import PACKERS, PROFILE, photographs
from tests.helpers.web import ask

COUNT = 40
ARCHIVE = "/a.tar.gz"
WANTED = [f"{number}.jpg" for number in range(0, COUNT, 5)]
NAMES = {f"{number}.jpg": f"group/species/{number:05d}.jpg" for number in range(COUNT)}
Rows = list[list[Any]]


class Laboratory:
    """An archive, served, and the index that another copy has made of it."""

    def __init__(self, folder: Path, how: str, size: int, server: FileServer) -> None:
        self.folder, self.server, self.runs = folder, server, 0
        self.files = {
            f"train/group/species/{number:05d}.jpg": content
            for number, content in enumerate(photographs(COUNT, size).values())
        }
        self.tar = pack_tar(self.files, tarfile.GNU_FORMAT)
        self.archive = PACKERS[how](self.tar)
        server.files[ARCHIVE] = self.archive
        server.files["/m.json"] = json.dumps(NAMES).encode()
        path = folder / "index"
        made = seek_indexing.write(self.settings({}), "inaturalist", path)
        assert made.members == len(WANTED)
        head, *rows = gzip.decompress(path.read_bytes()).decode().splitlines()
        self.head: dict[str, Any] = json.loads(head)
        self.rows: Rows = [json.loads(row) for row in rows]

    def settings(self, keys: dict[str, Any]) -> Any:
        self.runs += 1
        root = self.folder / str(self.runs)
        root.mkdir()
        annotate(root, "inaturalist", document(*(image(n, w) for n, w in enumerate(WANTED))))
        url = self.server.url
        endpoints = {
            "inaturalist_archive": f"{url}{ARCHIVE}",
            "inaturalist_mapping": f"{url}/m.json",
        }
        return config(root, **{"endpoints": endpoints, **keys})

    def try_to_fetch(self, index: bytes | None) -> dict[str, bytes]:
        """What arrives, whether or not the archive turns out to be damaged."""
        settings = self.settings(self.keys(index) if index else {})
        with contextlib.suppress(Failure, Blocked):
            ask(settings, "inaturalist")
        raw = settings.subset("inaturalist").raw_folder
        return {path.name: path.read_bytes() for path in raw.glob("*.jpg")}

    def keys(self, index: bytes) -> dict[str, Any]:
        path = self.folder / "spoilt"
        path.write_bytes(index)
        return {"inaturalist_index": f"{path}#sha256={hashlib.sha256(index).hexdigest()}"}

    def check(self, index: bytes) -> None:
        """Fetches with this index, whose maker is trusted: every picture arrives and is right."""
        found = ask(self.settings(self.keys(index)), "inaturalist")
        assert set(found) == set(WANTED)
        for key, arrival in found.items():
            assert isinstance(arrival, Arrival), (key, arrival)
            assert isinstance(arrival.raw, Path)
            assert arrival.raw.read_bytes() == self.files[f"train/{NAMES[key]}"], key


def packed(head: dict[str, Any], rows: Rows) -> bytes:
    return gzip.compress("\n".join([*map(json.dumps, [head, *rows]), ""]).encode())


def spoil_row(draw: random.Random, row: list[Any]) -> None:
    """Changes one thing about one row."""
    field = draw.choice(["bit", "packed", "skip", "head", "size", "sha256", "window", "name"])
    at = ["name", "bit", "packed", "skip", "head", "size", "sha256", "window"].index(field)
    if field == "sha256":
        row[at] = hashlib.sha256(draw.randbytes(4)).hexdigest()
    elif field == "name":
        row[at] = draw.choice([f"train/{name}" for name in NAMES.values() if name not in row[0]])
    elif field == "window":
        forged = {str(draw.randrange(32000)): draw.randbytes(draw.randint(1, 300)).hex()}
        row[at] = draw.choice([{}, forged, {**row[at], **forged}])
    else:
        row[at] = max(0, row[at] + draw.choice([-1, 1]) * draw.choice([1, 3, 8, 512, 4096]))


def one_row(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    spoil_row(draw, draw.choice(rows))
    return packed(lab.head, rows)


def many_rows(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    for row in draw.sample(rows, draw.randint(2, len(rows))):
        spoil_row(draw, row)
    return packed(lab.head, rows)


def other_order(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    """Places and digests of other members: only the tar's own header tells."""
    names = [row[0] for row in rows]
    draw.shuffle(names)
    return packed(lab.head, [[name, *row[1:]] for name, row in zip(names, rows, strict=True)])


def fewer_rows(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    left = draw.sample(rows, draw.randrange(len(rows)))
    return packed({**lab.head, "rows": len(left)}, left)


def any_bytes(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    text = bytearray(gzip.decompress(packed(lab.head, rows)))
    for _ in range(draw.randint(1, 5)):
        text[draw.randrange(len(text))] = draw.randrange(256)
    return gzip.compress(bytes(text))


def cut(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    whole = packed(lab.head, rows)
    return whole[: draw.randrange(len(whole))]


def packed_anew(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    """The archive is the same tar from another compressor; the index claims its size."""
    how = draw.choice(sorted(PACKERS))
    lab.server.files[ARCHIVE] = PACKERS[how](lab.tar)
    return packed({**lab.head, "size": len(lab.server.files[ARCHIVE]), "etag": ""}, rows)  # type: ignore[arg-type]


def other_pictures(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    """The archive was made of other pictures of the same names and sizes, except the wanted."""
    wanted = {f"train/{NAMES[name]}" for name in WANTED}
    changed = {
        name: content if name in wanted else PROFILE + draw.randbytes(len(content) - len(PROFILE))
        for name, content in lab.files.items()
    }
    lab.server.files[ARCHIVE] = archive = PACKERS["python"](pack_tar(changed, tarfile.GNU_FORMAT))
    return packed({**lab.head, "size": len(archive), "etag": ""}, rows)


def faulty_line(draw: random.Random, lab: Laboratory, rows: Rows) -> bytes:
    """Some answers are broken, or have other bytes; and a row may be wrong as well."""
    kinds = (Fault.RESET, Fault.SHORT_BODY, Fault.UNAVAILABLE)
    lab.server.faults = Faults((draw.choice(kinds),), probability=0.3, seed=draw.randrange(1000))
    if draw.random() < 0.5:
        spoil_row(draw, draw.choice(rows))
    return packed(lab.head, rows)


WAYS: list[Callable[[random.Random, Laboratory, Rows], bytes]] = [
    one_row,
    many_rows,
    other_order,
    fewer_rows,
    any_bytes,
    cut,
    packed_anew,
    other_pictures,
    faulty_line,
]


def campaign(folder: Path, server: FileServer, how: str, size: int, seeds: range) -> None:
    lab = Laboratory(folder, how, size, server)
    lab.check(packed(lab.head, lab.rows))
    for seed in seeds:
        draw = random.Random(seed)
        way = WAYS[seed % len(WAYS)]
        lab.server.files[ARCHIVE], lab.server.faults = lab.archive, None
        rows = json.loads(json.dumps(lab.rows))
        try:
            lab.check(way(draw, lab, rows))
        except AssertionError as error:
            raise AssertionError(f"{way.__name__}, seed {seed}: {error}") from error


@pytest.mark.parametrize("how", ["gnu", "members"])
def test_a_few_spoilt_ones(tmp_path: Path, server: FileServer, how: str) -> None:
    campaign(tmp_path, server, how, 8_000, range(2 * len(WAYS)))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", [3_000, 20_000])
@pytest.mark.parametrize("how", PACKERS)
def test_a_thousand_spoilt_ones(tmp_path: Path, server: FileServer, how: str, size: int) -> None:
    campaign(tmp_path, server, how, size, range(100, 190))


@pytest.mark.parametrize("how", ["gnu", "flushed"])
def test_a_damaged_archive_is_read_as_well_as_without_an_index(
    tmp_path: Path, server: FileServer, how: str
) -> None:
    """What the index finds is right; for the others, the stream decides as it always does."""
    lab = Laboratory(tmp_path, how, 8_000, server)
    index = packed({**lab.head, "etag": ""}, lab.rows)
    draw = random.Random(4)
    for row in lab.rows[1:]:
        damaged = bytearray(lab.archive)
        damaged[row[1] // 8 + row[2] - draw.randrange(40, 4000)] ^= 1 << draw.randrange(8)
        server.files[ARCHIVE] = bytes(damaged)
        without, with_index = lab.try_to_fetch(None), lab.try_to_fetch(index)
        assert with_index.keys() >= without.keys()
        for key, content in with_index.items():
            assert content == lab.files[f"train/{NAMES[key]}"] or content == without[key]
