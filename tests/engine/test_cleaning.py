"""A run removes what killed ones left, wherever this tool writes, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from saco_data.engine import session
from saco_data.sandbox.packing import pack_tar
from saco_data.storage import files, folders
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes

# Where a killed process may leave a file of ours, relative to the folder of the config.
PLACES = [
    "silver",
    "silver/.saco",
    "silver/.saco/logs",
    "silver/annotations",
    "silver/annotations_partial",
    "silver/card",
    "silver/intersection",
    "silver/images/sav",
    "silver/images/sav/deep/er",
    "annotations",
    "data/previews",
    "data/sav",
    "data/sav/frames",
    "data/sav/downloaded_videos/videos_fps_6",
]
LEFT = [
    ".frame.jpg.12-3.saco-tmp",
    ".link.frame.jpg.saco-tmp",
    ".video.mp4.part.json",
    ".saco-download/file",
    ".saco-doctor-x1/probe",
    ".ego4d-cli/v1/clips/a.mp4",
]


def leave(folder: Path, name: str) -> Path:
    """Makes what a process left an hour ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    for each in (path, *path.parents):
        if each == folder:
            break
        os.utime(each, (1, 1))
    return folder / name.partition("/")[0]


def test_a_run_sweeps_every_place(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    settings = config(tmp_path, silver_path="silver", sav_videos_fps_6_download_path="v.tar")
    left = [leave(tmp_path / place, name) for place in PLACES for name in LEFT]
    kept = [tmp_path / place / ".hidden" for place in PLACES]
    for path in kept:
        path.touch()
    session.go(settings, ["sav"], "prepare", Notes(), executor=InlineExecutor())
    assert [path for path in left if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


@pytest.mark.parametrize("name", LEFT)
def test_folders_without_the_lock_keep_what_is_in_use(tmp_path: Path, name: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    leave(old, name)
    path = new / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    for folder in (old, new):
        folders.sweep(folder, below=False, idle_seconds=folders.IDLE_SECONDS)
    assert list(old.iterdir()) == [] and path.exists()


def test_a_note_stays_beside_its_part(tmp_path: Path) -> None:
    for name in (".a.mp4.part", ".a.mp4.part.json"):
        (tmp_path / name).touch()
    folders.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_rename_leaves_no_link(tmp_path: Path) -> None:
    source, taken = tmp_path / "a.jpg", tmp_path / "frames" / "a.jpg"
    source.write_bytes(b"x")
    taken.mkdir(parents=True)
    with pytest.raises(Exception, match=r"a\.jpg"):
        files.link_or_copy(source, taken)
    assert [path.name for path in taken.parent.iterdir()] == ["a.jpg"]


def test_a_folder_that_refuses_does_not_stop_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    leave(tmp_path, LEFT[0])
    folders.sweep(tmp_path)


def test_nothing_but_the_ledger_stays_after_a_run(
    tmp_path: Path, saco: Callable[..., object]
) -> None:
    subset = build_one(tmp_path, "geode")
    for name, content in subset.raw.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    settings = config(tmp_path, silver_path="silver", geode_raw="raw")
    saco("prepare", "geode", cwd=tmp_path)
    names = {path.name for path in settings.state.iterdir()}
    assert names == {"ledger.sqlite", "logs", "provenance.json"}
