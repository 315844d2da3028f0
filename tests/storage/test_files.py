"""Final names are always complete, and names from outside stay inside."""

from __future__ import annotations

import errno
import os
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.model.errors import OutputError
from saco_data.storage import files


def test_a_failed_write_leaves_neither_a_final_nor_a_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rewrite_keeps_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "a") as file:
        file.write(b"new")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old"


def test_identical_content_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a"
    assert files.write(path, b"same")
    before = path.stat()
    assert not files.write(path, b"same")
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert files.write(path, b"diff")
    assert path.read_bytes() == b"diff"


def test_temporary_names_are_recognised_and_nothing_else(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "a.jpg"):
        (name,) = [path.name for path in tmp_path.iterdir()]
        assert files.is_temporary(name)
    assert not files.is_temporary("a.jpg")
    assert not files.is_temporary(".a.jpg.part")


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".jpg")
    files.write(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_link_is_the_same_file_and_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    files.link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")
    files.link(tmp_path / "a", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_in_the_way_of_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        files.write(tmp_path / "a" / "b", b"x")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\0b",
        "a\nb",
        "a\\b",
        "x" * 256,
        "/".join(["x" * 200] * 6),
        "\ud800",
    ],
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(files.UnsafeName):
        files.inside(Path("/root"), name)


@given(st.text(max_size=40))
def test_an_accepted_name_never_leaves_its_folder(name: str) -> None:
    root = Path("/some/root")
    try:
        path = files.inside(root, name)
    except files.UnsafeName:
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to(root) and path != root


def test_real_names_pass() -> None:
    name = "AUTOLab_failure_2023-07-07_Fri_Jul__7_18:50:36_2023_recordings_MP4_22008760/00002.jpg"
    assert files.inside(Path("/r"), name) == Path("/r") / name


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EFBIG, errno.EINVAL, errno.ESTALE, errno.EMFILE]
)
def test_any_fault_of_the_disk_is_explained(tmp_path: Path, number: int) -> None:
    with pytest.raises(OutputError) as explained, files.explained(tmp_path / "a"):
        raise OSError(number, "no matter")
    assert os.strerror(number) in explained.value.what
    assert explained.value.item == str(tmp_path / "a")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "x"),
        ConnectionResetError(errno.ECONNRESET, "x"),
        OSError(errno.EHOSTUNREACH, "x"),
        ssl.SSLError(8, "x"),
        OSError(),
    ],
)
def test_what_is_not_the_disk_s_fault_stays_what_it_is(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(type(error)), files.explained(tmp_path / "a"):
        raise error
