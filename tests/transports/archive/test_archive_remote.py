"""Archives over real HTTP: what is asked of the server, and what a killed run has to ask again."""

from __future__ import annotations

import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from saco_data.model.errors import OutputError
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.transports.archive import ArchiveDamaged, gzips, members, seekpoint, stream
from saco_data.transports.archive.index import Entry, Index, Point
from saco_data.transports.archive.local import LocalFile
from saco_data.transports.base import Policy
from saco_data.transports.http import Http

MIB = 1 << 20
POLICY = Policy(backoff_seconds=0.01)


def picture(number: int) -> bytes:
    """Like a photograph: hardly compressible, but not noise, so that deflate uses its codes."""
    draw = random.Random(number)
    return bytes(
        draw.choices(range(256), weights=range(200, 456), k=50_000 + number * 131 % 40_000)
    )


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    pictures = [picture(number) for number in range(40)]
    return {
        f"train/{'wanted' if number % 14 == 0 else 'other'}/{number:04d}.jpg": pictures[number % 40]
        + number.to_bytes(4, "big")
        for number in range(400)
    }


@pytest.fixture(scope="module")
def tar(files: dict[str, bytes]) -> bytes:
    return pack_tar(files)


@pytest.fixture(scope="module")
def packed(tar: bytes) -> bytes:
    return gzip.compress(tar, 6)


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(POLICY) as client:
        yield client


@pytest.fixture
def frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seek points as close together as a small archive needs."""
    monkeypatch.setattr(gzips, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(gzips, "LEAST_SPACING", 2 * MIB)
    monkeypatch.setattr(stream.Plain, "SAVE_EVERY", 2 * MIB)


def is_wanted(name: str) -> bool:
    return "/wanted/" in name


def wanted_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if is_wanted(name)}


def test_a_zip_is_read_by_ranges(server: FileServer, http: Http, files: dict[str, bytes]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    server.files["/a.zip"] = out.getvalue()
    place = http.open(f"{server.url}/a.zip")
    rare = {f"train/other/{number:04d}.jpg" for number in (5, 6, 7, 200, 390)}
    found = {member.name: member.read() for member in members(place, rare.__contains__)}
    assert found == {name: files[name] for name in rare}
    # One look, one head, the directory's end and the directory, three groups of neighbours.
    assert server.requests["/a.zip"] <= 9
    assert server.bytes_sent < 3 * MIB


def test_a_zip_from_a_server_without_ranges(
    http: Http, files: dict[str, bytes], tmp_path: Path
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.jpg", b"content")
    with FileServer({"/a.zip": out.getvalue()}, ranges=False) as server:
        place = http.open(f"{server.url}/a.zip")
        found = members(place, lambda name: True, checkpoint=tmp_path / "index")
        assert next(found).read() == b"content"
        assert [file.suffix for file in tmp_path.iterdir()] == [".saco-tmp"]
        assert not list(found)
    assert not list(tmp_path.iterdir())


def test_unwanted_members_of_a_tar_are_skipped_by_ranges(server: FileServer, http: Http) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(6):
            info = tarfile.TarInfo(f"{number}.mp4")
            info.size = 12 * MIB if number % 2 else 1000
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
    server.files["/a.tar"] = out.getvalue()
    place = http.open(f"{server.url}/a.tar")
    found = {m.name: m.read() for m in members(place, ["0.mp4", "4.mp4"].__contains__)}
    assert found == {"0.mp4": bytes(1000), "4.mp4": bytes([4]) * 1000}
    assert server.bytes_sent < 6 * MIB


def forget(server: FileServer) -> None:
    """Counts from here on; what was under way to a reader that left is waited for."""
    sent = -1
    while sent != server.bytes_sent:
        sent = server.bytes_sent
        time.sleep(0.2)
    server.bytes_sent = 0


@pytest.mark.parametrize("zipped", [True, False])
def test_a_stopped_run_is_resumed_and_a_later_one_reads_only_what_it_needs(
    zipped: bool,
    frequent: None,
    server: FileServer,
    http: Http,
    files: dict[str, bytes],
    tar: bytes,
    packed: bytes,
    tmp_path: Path,
) -> None:
    body = packed if zipped else tar
    server.files["/a"] = body
    place = http.open(f"{server.url}/a")
    index = tmp_path / "state" / "a.index"
    expected = wanted_of(files)
    first: dict[str, bytes] = {}
    running = members(place, is_wanted, checkpoint=index)
    while len(first) < len(expected) * 2 // 3:
        member = next(running)
        first[member.name] = member.read()
    running.close()
    forget(server)
    rest = {
        member.name: member.read()
        for member in members(
            place, lambda name: is_wanted(name) and name not in first, checkpoint=index
        )
    }
    assert first | rest == expected
    assert server.bytes_sent < len(body) * 0.6
    forget(server)
    late = "train/other/0205.jpg"
    missed = [m.read() for m in members(place, [late, "no.jpg"].__contains__, checkpoint=index)]
    assert missed == [files[late]]
    assert server.bytes_sent < 12 * MIB  # from a seek point on, and what the stream read ahead
    forget(server)
    assert not list(members(place, lambda name: False, checkpoint=index))
    assert server.bytes_sent < 1000
    assert index.stat().st_size < len(body) / 20


def test_all_members_can_be_read_again(
    frequent: None,
    server: FileServer,
    http: Http,
    files: dict[str, bytes],
    packed: bytes,
    tmp_path: Path,
) -> None:
    server.files["/a"] = packed
    place = http.open(f"{server.url}/a")
    for _ in range(3):
        found = members(place, lambda name: True, checkpoint=tmp_path / "index")
        assert {member.name: member.read() for member in found} == files


def test_another_version_of_the_archive_is_read_from_the_beginning(
    frequent: None,
    server: FileServer,
    http: Http,
    files: dict[str, bytes],
    tar: bytes,
    tmp_path: Path,
) -> None:
    index = tmp_path / "index"
    server.files["/a"] = tar
    assert len(list(members(http.open(f"{server.url}/a"), is_wanted, checkpoint=index))) == 29
    # Shifted by one member: by the old index everything would be found in the wrong place.
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("first.jpg"))
    server.files["/a"] = out.getvalue()[:512] + tar
    found = members(http.open(f"{server.url}/a"), is_wanted, checkpoint=index)
    assert {member.name: member.read() for member in found} == wanted_of(files)


CHILD = """
    import sys
    from pathlib import Path
    from saco_data.transports.archive import gzips, members, stream
    from saco_data.transports.base import Policy
    from saco_data.transports.http import Http
    gzips.LEAST_SECONDS, gzips.LEAST_SPACING = 0.0, 1 << 20
    stream.Plain.SAVE_EVERY = 1 << 20
    url, out, index = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with Http(Policy(backoff_seconds=0.01)) as http:
        def wanted(name):
            return "/wanted/" in name and not (out / Path(name).name).exists()
        for member in members(http.open(url), wanted, checkpoint=index):
            member.save(out / Path(member.name).name)
"""


@pytest.mark.parametrize("zipped", [True, False])
def test_a_killed_run_is_resumed(
    zipped: bool, files: dict[str, bytes], tar: bytes, packed: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    body = packed if zipped else tar
    with FileServer({"/a": body}, bandwidth=8 * MIB) as server:
        command = [sys.executable, "-c", textwrap.dedent(CHILD), f"{server.url}/a"]
        command += [str(out), str(tmp_path / "index")]
        child = subprocess.Popen(command, env=os.environ)
        deadline = time.monotonic() + 300
        while len(list(out.glob("*.jpg"))) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        before = server.bytes_sent
        assert len(list(out.glob("*.jpg"))) >= 20
        done = {file.name: file.stat().st_mtime_ns for file in out.glob("*.jpg")}
        server.bandwidth = 0
        subprocess.run(command, check=True, timeout=300)
        # 20 of 29 were there: what follows them, and at most the distance of two seek points.
        assert server.bytes_sent - before < len(body) * 0.5
    assert {file.name: file.read_bytes() for file in out.glob("*.jpg")} == {
        Path(name).name: content for name, content in wanted_of(files).items()
    }
    assert all((out / name).stat().st_mtime_ns == time for name, time in done.items())


def test_an_index_that_cannot_be_saved_at_a_stop_is_no_error(
    server: FileServer, http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/a.tar"] = pack_tar({"a": b"x" * 3000, "b": b"y" * 3000})

    def refuse(*arguments: object, **options: object) -> None:
        raise OutputError("cannot write (Permission denied)")

    found = members(http.open(f"{server.url}/a.tar"), lambda name: True, checkpoint=tmp_path / "c")
    assert next(found).read() == b"x" * 3000
    monkeypatch.setattr(Index, "save", refuse)
    found.close()


def test_an_incomplete_frame_of_the_index_is_cut_off(
    frequent: None, files: dict[str, bytes], packed: bytes, tmp_path: Path
) -> None:
    path, index = tmp_path / "a.tar.gz", tmp_path / "index"
    path.write_bytes(packed)
    expected = wanted_of(files)
    list(members(path, is_wanted, checkpoint=index))
    whole = index.read_bytes()
    for damaged in (
        whole[: len(whole) // 2],
        whole[:10],
        b"",
        whole[:-1],
        whole[:5000] + b"\0" + whole[5001:],
        b"something else",
    ):
        index.write_bytes(damaged)
        found = members(path, is_wanted, checkpoint=index)
        assert {member.name: member.read() for member in found} == expected
        assert len(index.read_bytes()) > len(whole) / 2


def test_damage_in_the_middle_deletes_the_index(
    frequent: None, packed: bytes, tmp_path: Path
) -> None:
    path, index = tmp_path / "a.tar.gz", tmp_path / "index"
    path.write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    with pytest.raises(ArchiveDamaged, match="checksum"):
        list(members(path, is_wanted, checkpoint=index))
    assert not index.exists()
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ArchiveDamaged):
        list(members(path, is_wanted, checkpoint=index))
    assert index.exists()


def deflate(content: bytes, level: int, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("kind", ["photographs", "noise", "text", "fixed codes"])
def test_seek_points_are_exact_at_every_bit(kind: str) -> None:
    draw = random.Random(3)
    text = b"".join(b"%d and %d;\n" % (n, draw.getrandbits(16)) for n in range(300_000))
    content, deflated = {
        "photographs": lambda: (b := b"".join(map(picture, range(40))), deflate(b, 6)),
        "noise": lambda: (b := draw.randbytes(3_000_000), deflate(b, 6)),
        "text": lambda: (text, deflate(text, 6)),
        "fixed codes": lambda: (text, deflate(text, 6, zlib.Z_FIXED)),
    }[kind]()
    bits = set()
    for start in range(10_000, len(deflated) - 600_000, 190_001):
        running = seekpoint.inflater()
        before = running.decompress(deflated[:start], 1 << 30)
        part = memoryview(deflated)[start : start + 512 * 1024]
        output, consumed, found = seekpoint.search(running, part, before[-seekpoint.WINDOW :])
        assert content[len(before) :].startswith(output)
        assert consumed > 0
        if found:
            bit, offset = 8 * start + found.bit, len(before) + found.output
            window = content[max(0, offset - seekpoint.WINDOW) : offset]
            again = seekpoint.enter(window, deflated[bit // 8], bit % 8)
            assert again.decompress(deflated[bit // 8 + 1 :], 1 << 30) == content[offset:]
            assert again.eof
            bits.add(bit % 8)
    assert bits


def test_an_inflater_enters_at_each_of_the_eight_bits() -> None:
    content = b"some content " * 9
    deflated = deflate(content, 6)
    number = int.from_bytes(deflated, "little")
    for bit in range(8):
        shifted = (number << bit | (1 << bit) - 1).to_bytes(len(deflated) + 1, "little")
        running = seekpoint.enter(b"", shifted[0], bit)
        assert running.decompress(shifted[1:], 1 << 20) == content
        assert running.eof


def test_an_index_keeps_entries_points_and_position(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index = Index(path, "tag", 99)
    entries = [Entry(f"{number}.jpg", number * 1024, number * 1024 + 512, 7) for number in range(9)]
    for number, entry in enumerate(entries):
        index.add(entry)
        window = bytes([number]) * 32768
        index.save(entry.end, point=Point(number * 1000, number * 8000, number, 5, window))
    again = Index(path, "tag", 99)
    assert again.next == entries[-1].end
    assert again.entries(lambda name: True) == entries
    assert again.entries(["3.jpg"].__contains__) == [entries[3]]
    place = again.nearest(4999)
    assert place is not None
    assert (place.offset, place.bit) == (4000, 32000)
    assert again.point(place).window == bytes([4]) * 32768
    assert not again.complete
    again.save(entries[-1].end, complete=True)
    assert Index(path, "tag", 99).complete
    for other in (Index(path, "tag", 98), Index(path, "gat", 99), Index(None, "tag", 99)):
        assert (other.next, other.complete, other.entries(lambda name: True)) == (0, False, [])


def test_the_identity_of_a_local_file_changes_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    before = LocalFile(path)
    assert (before.size, before.read_at(8, 5), b"".join(before.stream(2, 4))) == (10, b"89", b"23")
    os.utime(path, ns=(1, 1))
    assert LocalFile(path).identity != before.identity
