"""Members that would leave the folder, or fill memory and disk, are refused by name."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saco_data.storage.names import UnsafeName, safe_join
from saco_data.transports.archive import ArchiveDamaged, members, safety
from tests.transports.archive.packs import everything, special, tar_of, zip_of


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
