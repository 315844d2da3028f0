"""Wanted members out of folders, zips and tars: complete, refused by name, or damage is told."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.storage.names import UnsafeName, safe_join
from saco_data.transports.archive import ArchiveDamaged, members, safety
from saco_data.transports.archive.local import LocalFile

FILES = {
    f"root/{kind}/{number:03d}.jpg": random.Random(number).randbytes(500 + 997 * number)
    for kind in ("cat", "dog")
    for number in range(30)
}


def everything(name: str) -> bool:
    return True


def cats(name: str) -> bool:
    return "/cat/" in name


def tar_of(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        folder = tarfile.TarInfo("root")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.mkdir("root")
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


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


def hostile_tar(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for info in (
            special("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
            special("hard.jpg", tarfile.LNKTYPE, "good.jpg"),
            special("device.jpg", tarfile.CHRTYPE),
            special("disk.jpg", tarfile.BLKTYPE),
            special("pipe.jpg", tarfile.FIFOTYPE),
            tarfile.TarInfo("../up.jpg"),
            tarfile.TarInfo("a/../../up.jpg"),
            tarfile.TarInfo("/abs.jpg"),
            tarfile.TarInfo("a\\b.jpg"),
            tarfile.TarInfo("x" * 300 + ".jpg"),
            special("odd.jpg", b"Q"),
        ):
            tar.addfile(info)
        sparse = tarfile.TarInfo("sparse.jpg")
        sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "sparse.jpg"}
        tar.fileobj.write(sparse.tobuf(tarfile.PAX_FORMAT))
        tar.offset = tar.fileobj.tell()
        for content in (b"first", b"second"):
            good = tarfile.TarInfo("./good.jpg")
            good.size = len(content)
            tar.addfile(good, io.BytesIO(content))


@pytest.mark.parametrize("zipped", [False, True])
def test_hostile_members_of_a_tar_are_refused_by_name(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    hostile_tar(path)
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    found = {m.name: m.refusal or m.read() for m in members(path, everything)}
    assert found == {
        "link.jpg": "a symbolic link",
        "hard.jpg": "a hard link",
        "device.jpg": "a device",
        "disk.jpg": "a device",
        "pipe.jpg": "a named pipe",
        "../up.jpg": "unsafe name",
        "a/../../up.jpg": "unsafe name",
        "/abs.jpg": "unsafe name",
        "a\\b.jpg": "unsafe name",
        "x" * 300 + ".jpg": "unsafe name",
        "odd.jpg": "an unknown kind of member",
        "sparse.jpg": "a sparse file",
        "good.jpg": b"first",
    }


def test_hostile_members_of_a_zip_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        device = zipfile.ZipInfo("device.jpg")
        device.external_attr = 0o020666 << 16
        archive.writestr(device, "")
        for name in ("../up.jpg", "/abs.jpg", "good.jpg"):
            archive.writestr(name, name)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("good.jpg", "second")
        archive.writestr("secret.jpg", "secret")
        archive.writestr("odd.jpg", "odd")
    content = bytearray(path.read_bytes())
    for entry, flag, method in ((b"secret.jpg", 1, 0), (b"odd.jpg", 0, 77)):
        struct.pack_into("<HH", content, content.rindex(entry) - 38, flag, method)
    path.write_bytes(content)
    assert {m.name: m.refusal or m.read() for m in members(path, everything)} == {
        "link.jpg": "a symbolic link",
        "device.jpg": "not a regular file",
        "../up.jpg": "unsafe name",
        "/abs.jpg": "unsafe name",
        "good.jpg": b"good.jpg",
        "secret.jpg": "encrypted",
        "odd.jpg": "unknown compression method 77",
    }


def test_a_zip_bomb_yields_at_most_its_declared_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(zip_of({"bomb.jpg": bytes(50_000_000), "good.jpg": b"good"}))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.rindex(b"bomb.jpg") - 22, 1000)
    path.write_bytes(content)
    found = members(path, everything)
    bomb = next(found)
    assert bomb.size == 1000
    with pytest.raises(ArchiveDamaged, match=r"bomb\.jpg"):
        bomb.save(tmp_path / "bomb.jpg")
    assert not (tmp_path / "bomb.jpg").exists()
    assert next(found).read() == b"good"


@pytest.mark.parametrize("size", [(65 << 30), (1 << 62) - 1, 1 << 80])
def test_absurd_sizes_are_refused_before_anything_is_read(size: int, tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge.jpg")
    info.size = size
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000))
    found: dict[str, str] = {}
    with pytest.raises(ArchiveDamaged):
        for member in members(path, everything):
            found[member.name] = member.refusal
    assert found in ({}, {"huge.jpg": f"declares {size} bytes"})
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000)
    with pytest.raises(ArchiveDamaged, match=r"beyond the end|impossible"):
        list(members(path, everything))


def test_a_huge_extension_header_is_not_read(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        info = special("x", kind)
        info.size = 2 << 30
        path = tmp_path / "a.tar"
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
        with pytest.raises(ArchiveDamaged, match="extension header of"):
            list(members(path, everything))
    path.write_bytes((special("x", tarfile.XHDTYPE).tobuf() * 5000) + bytes(4096))
    with pytest.raises(ArchiveDamaged, match="too many extension"):
        list(members(path, everything))


def test_a_member_too_large_for_memory_can_only_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safety, "READ_LIMIT", 1000)
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"a.mp4": bytes(1001)}))
    (member,) = (m for m in members(path, everything) if _saved(m, tmp_path / "a.mp4"))
    assert (tmp_path / "a.mp4").stat().st_size == member.size


def _saved(member: safety.Member, to: Path) -> bool:
    with pytest.raises(ArchiveDamaged, match="too many to read"):
        member.read()
    return member.save(to) == 1001


def test_links_out_of_a_folder_are_refused_and_those_within_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.jpg").write_bytes(b"far")
    root = tmp_path / "root"
    (root / "a/deep").mkdir(parents=True)
    (root / "a/real.jpg").write_bytes(b"real")
    (root / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "in.jpg").symlink_to("a/real.jpg")
    (root / "gone.jpg").symlink_to("nowhere")
    (root / "far").symlink_to(tmp_path / "elsewhere")
    (root / "near").symlink_to("a")
    (root / "a/deep/loop").symlink_to(root)
    (root / "itself").symlink_to("itself")
    os.mkfifo(root / "pipe.jpg")
    entry = tmp_path / "entry"
    entry.symlink_to(root)
    found = {m.name: m.refusal or m.read() for m in members(entry, everything)}
    assert found == {
        "a/real.jpg": b"real",
        "far/far.jpg": "a link that leads outside the folder",
        "gone.jpg": "cannot be read (No such file or directory)",
        "in.jpg": b"real",
        "itself": "cannot be read (Too many levels of symbolic links)",
        "near/real.jpg": b"real",
        "out.jpg": "a link that leads outside the folder",
        "pipe.jpg": "not a regular file",
    }


def test_folders_may_be_nested_very_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        Path("a").mkdir()
        os.chdir("a")
    Path("deep.jpg").touch()
    (tmp_path / "b.jpg").touch()
    assert [m.name for m in members(tmp_path, everything)] == ["a/" * 1200 + "deep.jpg", "b.jpg"]
    for _ in range(1200):
        os.chdir("..")
        shutil.rmtree("a")  # bit by bit, or it would run out of calls itself


NAMES = (
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
        | st.sampled_from(
            ["..", ".", "", "./", "a", "ü", "x" * 255, "x" * 256, "C:", "a\\b", "~", "-rf"]
        ),
        min_size=1,
        max_size=5,
    )
    .map("/".join)
    .filter(bool)
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names") / "archive"


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=600), min_size=1, max_size=5), st.booleans())
def test_any_name_is_delivered_or_refused(
    scratch: Path, files: dict[str, bytes], pax: bool
) -> None:
    form = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    for archive in (out.getvalue(), zip_of(files)):
        scratch.write_bytes(archive)
        for member in members(scratch, everything):
            try:
                safe_join(Path("root"), member.name)
            except UnsafeName:
                assert member.refusal == "unsafe name"
            else:
                assert not member.refusal
                assert member.read() in files.values()
