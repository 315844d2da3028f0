"""A file under its final name is complete."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from saco_data.model.errors import OutputError
from saco_data.storage import fetched, files


def test_a_failed_write_leaves_neither_a_final_nor_a_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.open_atomic(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rewrite_keeps_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(RuntimeError), files.open_atomic(tmp_path / "a") as file:
        file.write(b"new")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old"


def test_identical_content_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a"
    assert files.write_if_changed(path, b"same")
    before = path.stat()
    assert not files.write_if_changed(path, b"same")
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert files.write_if_changed(path, b"diff")
    assert path.read_bytes() == b"diff"


def test_temporary_names_are_recognised_and_nothing_else(tmp_path: Path) -> None:
    with files.open_atomic(tmp_path / "a.jpg"):
        (name,) = [path.name for path in tmp_path.iterdir()]
        assert files.is_temporary(name)
    assert not files.is_temporary("a.jpg")
    assert not files.is_temporary(".a.jpg.part")


def test_a_very_long_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".jpg")
    files.write_if_changed(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_link_is_the_same_file_and_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    files.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")
    files.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_in_the_way_of_a_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        files.write_if_changed(tmp_path / "a" / "b", b"x")


def test_where_links_are_impossible_the_content_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"a")
    files.link_or_copy(tmp_path / "a", tmp_path / "sub" / "b")
    assert (tmp_path / "sub" / "b").read_bytes() == b"a"
    assert not (tmp_path / "sub" / "b").samefile(tmp_path / "a")
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["b"]


def test_a_published_part_replaces_the_file_under_its_final_name(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"new")
    (tmp_path / "a").write_bytes(b"old")
    files.publish(tmp_path / "a.part", tmp_path / "a")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"new")]


def test_a_refused_rename_is_explained_and_keeps_the_part(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"new")
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        files.publish(tmp_path / "a.part", tmp_path / "a")
    assert (tmp_path / "a.part").read_bytes() == b"new"


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    assert files.stamp(tmp_path / "a") == []
    (tmp_path / "a").write_bytes(b"1")
    before = files.stamp(tmp_path / "a")
    assert files.stamp(tmp_path / "a") == before
    os.utime(tmp_path / "a", ns=(1, 2))
    assert files.stamp(tmp_path / "a") == [str(tmp_path / "a"), 1, 2] != before


def test_a_line_in_the_note_of_fetched_files_is_never_cut_in_silence(tmp_path: Path) -> None:
    raw, note = tmp_path / "raw", tmp_path / "note"
    raw.mkdir()
    (raw / "part").write_bytes(b"x" * 5)
    fetched.keep_note(raw, note)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))  # a write beyond is shortened
    try:
        with pytest.raises(OSError, match="too large"):
            fetched.record(raw / "part", raw / "a.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    fetched.record(raw / "part", raw / "a.mp4")
    (raw / "part").rename(raw / "a.mp4")
    assert fetched.is_fetched(raw / "a.mp4")
