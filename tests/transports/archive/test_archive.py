"""Wanted members out of folders, zips and tars: complete, refused by name, or damage is told."""

from __future__ import annotations

import gzip
import hashlib
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.transports.archive import ArchiveDamaged, members
from saco_data.transports.archive.local import LocalFile
from tests.transports.archive.packs import FILES, cats, everything, tar_of, zip_of


class WithoutRanges(LocalFile):
    """A server that can only send the whole."""

    seekable = False


@pytest.fixture(params=["folder", "zip", "stored zip", "tar", "gnu tar", "tar.gz", "two gzips"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The same files in every kind of archive, under a name that says nothing."""
    path = tmp_path / "archive.bin"
    tar = tar_of(FILES)
    if request.param == "folder":
        for name, content in FILES.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return path
    contents = {
        "zip": zip_of(FILES),
        "stored zip": zip_of(FILES, zipfile.ZIP_STORED),
        "tar": tar,
        "gnu tar": tar_of(FILES, tarfile.GNU_FORMAT),
        "tar.gz": gzip.compress(tar, mtime=0),
        "two gzips": gzip.compress(tar[:70_000], mtime=0)
        + gzip.compress(tar[70_000:])
        + bytes(1000),
    }
    path.write_bytes(contents[request.param])
    return path


def test_only_wanted_members_are_delivered(place: Path) -> None:
    found = {member.name: member.read() for member in members(place, cats)}
    assert found == {name: content for name, content in FILES.items() if cats(name)}


def test_saving_leaves_only_the_files(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for member in members(place, cats):
        assert member.save(out / Path(member.name).name) == member.size == len(FILES[member.name])
    assert {file.name for file in out.iterdir()} == {f"{number:03d}.jpg" for number in range(30)}
    assert (out / "007.jpg").read_bytes() == FILES["root/cat/007.jpg"]


def test_the_order_is_the_same_every_time(place: Path) -> None:
    names = [member.name for member in members(place, everything)]
    assert names == [member.name for member in members(place, everything)] == sorted(FILES)


def test_content_can_be_read_once_until_the_next_member(place: Path) -> None:
    found = members(place, cats)
    first = next(found)
    second = next(found)
    with pytest.raises(RuntimeError, match="already"):
        first.read()
    assert second.read() == FILES[second.name]
    with pytest.raises(RuntimeError, match="already"):
        second.read()
    # Half a member taken does not shift those that follow.
    third = next(found)
    next(third._open())
    assert next(found).read() == FILES["root/cat/003.jpg"]


def test_a_server_without_ranges_works(place: Path, tmp_path: Path) -> None:
    if place.is_dir():
        return
    folder = tmp_path / "state"
    remote = WithoutRanges(place)
    found = {
        member.name: member.read() for member in members(remote, cats, checkpoint=folder / "index")
    }
    assert found == {name: content for name, content in FILES.items() if cats(name)}
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize(
    "pack", [zip_of, tar_of, lambda files: gzip.compress(tar_of(files), mtime=0)]
)
def test_every_truncation_is_reported(pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    few = {name: content[:700] for name, content in list(FILES.items())[:6]}
    whole = pack(few)
    # The zeros after a tar's first end block may go: nothing of the archive is lost with them.
    needed = len(whole.rstrip(b"\0")) + 511 if pack is tar_of else len(whole) - 1
    path = tmp_path / "cut"
    for length in range(0, needed, 97 if len(whole) < 10_000 else 211):
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveDamaged) as caught:
            for member in members(path, everything):
                # What is delivered before the end is whole all the same.
                assert member.read() == few[member.name]
        assert caught.value.reason is Reason.ARCHIVE_DAMAGED
        assert "cut" in str(caught.value)


def test_flipped_bytes_never_give_wrong_content(tmp_path: Path) -> None:
    few = {name: content[:3000] for name, content in list(FILES.items())[:6]}
    draw = random.Random(5)
    path = tmp_path / "flipped"
    for whole in (zip_of(few), gzip.compress(tar_of(few), mtime=0)):
        for _ in range(150):
            at = draw.randrange(len(whole))
            path.write_bytes(
                whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(8)]) + whole[at + 1 :]
            )
            got: dict[str, bytes] = {}
            damaged = False
            try:
                for member in members(path, everything):
                    try:
                        got[member.name] = b"" if member.refusal else member.read()
                    except ArchiveDamaged:
                        damaged = True
            except ArchiveDamaged:
                damaged = True
            wrong = {name for name, content in got.items() if few.get(name) != content}
            # A zip's names carry no checksum of their own; a gzip's is known at its end.
            assert not wrong or damaged or zipfile.is_zipfile(path)
            if zipfile.is_zipfile(path):
                assert all(got[name] in (*few.values(), b"") for name in wrong)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    whole = bytearray(tar_of(FILES))
    at = whole.index(b"root/dog/003.jpg")
    whole[at] ^= 1
    path = tmp_path / "a.tar"
    path.write_bytes(whole)
    with pytest.raises(ArchiveDamaged, match="no valid tar header at byte"):
        list(members(path, everything))


def test_a_block_of_zeros_is_not_taken_for_the_end(tmp_path: Path) -> None:
    whole = tar_of(FILES)
    at = whole.index(b"root/dog/003.jpg")
    path = tmp_path / "a.tar"
    path.write_bytes(whole[:at] + bytes(20480) + whole[at + 20480 :])
    with pytest.raises(ArchiveDamaged, match="after its end mark"):
        list(members(path, everything))


@pytest.mark.parametrize("zipped", [False, True])
def test_space_that_a_download_reserved_is_not_taken_for_the_end(
    tmp_path: Path, zipped: bool
) -> None:
    whole = tar_of(FILES)
    at = whole.index(b"root/dog/003.jpg")
    path = tmp_path / "a.tar"
    for zeros, cut in ((1 << 20, False), (8 << 20, True)):
        content = whole[:at] + bytes(zeros)
        path.write_bytes(gzip.compress(content) if zipped else content)
        if not cut:
            # No more than writers of tapes add.
            assert list(members(path, cats))
            continue
        with pytest.raises(ArchiveDamaged, match="nothing but zeros") as caught:
            list(members(path, everything))
        assert caught.value.cut


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>log in</html>" * 99, "is a web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(600), "neither a zip"),
        (gzip.compress(b"not a tar" * 999, mtime=0), "no valid tar header at byte 0"),
        (gzip.compress(tar_of(FILES), mtime=0) + b"more", "something else after"),
    ],
)
def test_a_file_that_is_not_an_archive_is_reported(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveDamaged, match=said) as caught:
        list(members(path, everything))
    assert str(path) in str(caught.value)


def test_a_missing_archive_needs_the_user(tmp_path: Path) -> None:
    with pytest.raises(Blocked) as caught:
        list(members(tmp_path / "none.zip", everything))
    assert caught.value.reason is Reason.RAW_MISSING


@pytest.mark.parametrize("zipped", [False, True])
def test_the_md5_of_a_stream_is_compared(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(tar_of(FILES), mtime=0) if zipped else zip_of(FILES))
    good = hashlib.md5(path.read_bytes()).hexdigest()
    assert len(list(members(WithoutRanges(path), cats, checksum=good.upper()))) == 30
    with pytest.raises(ArchiveDamaged, match="md5"):
        list(members(WithoutRanges(path), cats, checksum="0" * 32))
