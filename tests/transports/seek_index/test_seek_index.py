"""Seek indices: rows are found in every kind of tar.gz, and lead to the right bytes or to none."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import threading
from pathlib import Path

import pytest

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.transports.archive import members
from saco_data.transports.archive.local import LocalFile
from saco_data.transports.base import Policy
from saco_data.transports.http import Http
from saco_data.transports.seek_index import rows as index
from saco_data.transports.seek_index.entering import WrongMember, take_out
from saco_data.transports.seek_index.fetching import IndexDoubted, join_ranges, take_members
from saco_data.transports.seek_index.recorder import Recorder
from saco_data.transports.seek_index.rows import Archive, BadIndex, Row
from tests.helpers.tar_gz import PACKERS, photographs


def is_wanted(name: str) -> bool:
    return int(name[-9:-4]) % 3 == 0


def record(path: Path) -> Recorder:
    recorder = Recorder()
    for member in members(path, is_wanted, recorder=recorder):
        if "species 1" in member.name:
            member.read()  # the others are passed over
    return recorder


def about(path: Path, recorder: Recorder) -> Archive:
    return Archive(
        index.FORMAT, path.name, "", recorder.read, recorder.md5 or "", "", len(recorder.rows), "t"
    )


def packed(folder: Path, how: str, files: dict[str, bytes]) -> Path:
    path = folder / f"{how}.tar.gz"
    path.write_bytes(PACKERS[how](pack_tar(files, tarfile.GNU_FORMAT)))
    return path


@pytest.mark.parametrize("how", PACKERS)
@pytest.mark.parametrize("size", [60_000, 3_000])
def test_every_wanted_member_has_a_row_that_leads_to_it(
    tmp_path: Path, how: str, size: int
) -> None:
    files = photographs(1_500_000 // size, size)
    path = packed(tmp_path, how, files)
    recorder = record(path)
    wanted = {name: content for name, content in files.items() if is_wanted(name)}
    assert recorder.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert [row.name for row in recorder.rows] == list(wanted)
    data = path.read_bytes()
    for row in recorder.rows:
        assert take_out(row, data[row.start : row.stop]) == wanted[row.name]
        with pytest.raises(WrongMember):
            take_out(row, data[row.start : row.stop - 16])


def test_long_names_and_pax_headers_are_part_of_a_row(tmp_path: Path) -> None:
    files = {f"{'long/' * 60}{number:05d}.jpg": b"x" * 9000 for number in range(9)}
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{kind}.tar.gz"
        path.write_bytes(gzip.compress(pack_tar(files, kind)))
        recorder, data = record(path), path.read_bytes()
        assert len(recorder.rows) == 3
        for row in recorder.rows:
            assert row.head > 512
            assert take_out(row, data[row.start : row.stop]) == files[row.name]


def test_windows_are_sparse_and_needed(tmp_path: Path) -> None:
    files = photographs(400, 3_000)
    path = packed(tmp_path, "gnu", files)
    data = path.read_bytes()
    with_window = [row for row in record(path).rows if row.window]
    assert with_window
    for row in with_window:
        assert sum(len(run) // 2 for run in row.window.values()) < 8192
        at, run = next(iter(row.window.items()))
        other = {**row.window, at: f"{int(run[:2], 16) ^ 1:02x}{run[2:]}"}
        with pytest.raises(WrongMember):
            take_out(
                Row(row.name, row.bit, row.packed, row.skip, row.head, row.size, row.sha256, other),
                data[row.start : row.stop],
            )


def test_an_index_is_read_as_it_was_written_and_is_the_same_each_time(tmp_path: Path) -> None:
    path = packed(tmp_path, "python", photographs(30))
    recorder = record(path)
    for name in ("one", "two"):
        index.write(tmp_path / name, [(about(path, recorder), recorder.rows)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = index.read(tmp_path / "one", lambda archive: True, lambda name: True)
    assert found == (about(path, recorder), recorder.rows)
    assert index.read(tmp_path / "one", lambda archive: False, lambda name: True) is None
    # Any program reads it.
    lines = gzip.decompress((tmp_path / "one").read_bytes()).decode().splitlines()
    assert json.loads(lines[0])["size"] == path.stat().st_size
    assert [json.loads(line)[0] for line in lines[1:]] == [row.name for row in recorder.rows]


def test_several_archives_share_an_index(tmp_path: Path) -> None:
    parts = []
    for how in ("gnu", "python", "members"):
        path = packed(tmp_path, how, photographs(20))
        recorder = record(path)
        parts.append((about(path, recorder), recorder.rows))
    index.write(tmp_path / "index", parts)
    for archive, rows in parts:
        size = archive.size
        found = index.read(tmp_path / "index", lambda each, s=size: each.size == s, is_wanted)  # type: ignore[misc]
        assert found == (archive, rows)


GOOD = (
    '{"format":"saco-seek-index-1","name":"a","url":"","size":9999,'
    '"md5":"%s","etag":"","rows":1,"by":""}'
)
ROW = '["a/00000.jpg",8,50,0,512,5,"%s",{"7":"00"}]' % ("0" * 64)


@pytest.mark.parametrize(
    "row",
    [
        ROW.replace(",8,", ",-8,"),
        ROW.replace(",8,", ",1e9,"),
        ROW.replace(",8,50,", ",80000,50,"),  # beyond the end
        ROW.replace(",50,", f",{1 << 40},"),
        ROW.replace(",0,512", f",{1 << 40},512"),
        ROW.replace(",512,5", f",512,{1 << 40}"),
        ROW.replace(",512,", ",5,"),
        ROW.replace('"7"', '"32768"'),
        ROW.replace('"7"', '"-1"'),
        ROW.replace('{"7":"00"}', '{"32767":"0000"}'),
        ROW.replace('"00"', '"0"'),
        ROW.replace('"00"', '"zz"'),
        ROW.replace('"00"', "0"),
        ROW.replace("0" * 64, "0" * 63),
        ROW.replace('"a/00000.jpg"', "5"),
        ROW[:-1],
        "[" * 100_000,
        "null",
        "",
        f"{ROW}\n{ROW}",
        " " * (300 << 10) + ROW,
    ],
)
def test_hostile_rows_are_refused(tmp_path: Path, row: str) -> None:
    text = f"{GOOD % ('0' * 32)}\n{row}\n"
    (tmp_path / "index").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(BadIndex):
        # Also what stands behind the rows that were announced.
        if index.read(tmp_path / "index", lambda _: False, lambda _: True) is None:
            index.read(tmp_path / "index", lambda _: True, lambda _: True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"{}\n"),
        gzip.compress(b"[]\n"),
        gzip.compress(b"\xff\xfe\n"),
        gzip.compress((GOOD % ("0" * 32)).encode()),
        gzip.compress((GOOD % ("0" * 32)).replace("index-1", "index-2").encode() + b"\n"),
        gzip.compress((GOOD % ("0" * 32)).encode() + b"\n"),
        gzip.compress(b"a" * (5 << 20)),
        gzip.compress((GOOD % ("0" * 32)).encode() + b"\n" + ROW.encode() + b"\n")[:-9],
    ],
    ids=range(10),
)
def test_what_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index").write_bytes(content)
    if not content:
        assert index.read(tmp_path / "index", lambda _: True, lambda _: True) is None
        return
    with pytest.raises(BadIndex):
        index.read(tmp_path / "index", lambda _: True, lambda _: True)


def test_members_come_over_http_in_few_bytes_and_many_requests_at_once(tmp_path: Path) -> None:
    files = {
        name.replace(".jpg", f"-{number:05d}.jpg"): content
        for number, (name, content) in enumerate(photographs(120, 100_000).items())
    }
    path = packed(tmp_path, "gnu", files)
    rows = [row for row in record(path).rows if int(row.name[-9:-4]) % 12 == 0]
    with (
        FileServer({"/a.tar.gz": path}, latency=0.05) as server,
        Http(Policy(concurrency=8)) as http,
    ):
        remote = http.open(f"{server.url}/a.tar.gz")
        remote.require_version()
        server.seen.clear()
        before = server.bytes_sent
        found = dict(
            take_members(
                remote,
                rows,
                lambda row, content: (row.name, content),
                connections=8,
                stop=threading.Event(),
            )
        )
        assert found == {row.name: files[row.name] for row in rows}
        wanted = sum(row.size for row in rows)
        assert server.bytes_sent - before < 1.3 * wanted
        assert server.busiest > 4
        assert all(headers["If-Match"] == remote.identity for _, _, headers in server.seen)


def test_members_that_nearly_touch_are_one_request() -> None:
    def row(start: int, length: int) -> Row:
        return Row(f"{start}", 8 * start, length, 0, 512, 1, "0" * 64, {})

    near = [row(0, 1000), row(1000 + (60 << 10), 1000), row(200 << 10, 10)]
    assert [len(group) for group in join_ranges(near[::-1])] == [2, 1]
    inside = [row(0, 500_000), row(10, 10), row(500_100, 10)]
    assert [len(group) for group in join_ranges(inside)] == [3]


def test_another_archive_is_noticed_at_its_first_member(tmp_path: Path) -> None:
    files = photographs(60)
    rows = record(packed(tmp_path, "gnu", files)).rows
    other = LocalFile(packed(tmp_path, "python", files))
    # The first of all begins at the first byte, where all archives are alike.
    later = [row for row in rows[1:] if row.stop <= (other.size or 0)]
    with pytest.raises(IndexDoubted):
        next(
            take_members(
                other, later, lambda row, _: row.name, connections=2, stop=threading.Event()
            )
        )


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = packed(tmp_path, "gnu", photographs(60))
    rows = record(path).rows
    with FileServer({"/a": path.read_bytes()}) as server, Http(Policy(backoff_seconds=0)) as http:
        remote = http.open(f"{server.url}/a")
        remote.require_version()
        server.files["/a"] = path.read_bytes() + b"\0"
        with pytest.raises(IndexDoubted, match="changed"):
            list(
                take_members(
                    remote, rows, lambda row, _: row, connections=2, stop=threading.Event()
                )
            )
