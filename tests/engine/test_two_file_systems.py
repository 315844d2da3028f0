"""The official `frames/` folder on another file system: each frame is stored once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from saco_data.engine import forecast, verify
from saco_data.sandbox.packing import pack_tar
from saco_data.storage import files
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, prepare, products


def test_frames_are_links_and_the_run_says_so(tmp_path: Path, elsewhere: Path) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    keys = {"silver_path": "silver", "sav_videos_fps_6_download_path": "v.tar"}
    here = config(tmp_path, **keys)
    expected = forecast.make(here, ["sav"]).lines[0].costs.disk[here.subset("sav").folder]
    settings = config(tmp_path, sav_path=str(elsewhere / "sav"), **keys)
    costs = forecast.make(settings, ["sav"]).lines[0].costs
    assert costs.disk[settings.subset("sav").folder] == expected, "no room for a second copy"
    notes = Notes()
    prepare(settings, "sav", notes=notes)
    view = settings.subset("sav").frames_view
    assert view is not None
    made = products(settings, "sav")
    assert made
    for name, content in made.items():
        assert (view / name).is_symlink() and (view / name).read_bytes() == content
    assert sum("symbolic links" in line for line in notes.lines) == 1
    # Nothing is done or said again, and a name that was removed is made again.
    notes = Notes()
    assert prepare(settings, "sav", notes=notes) == 0
    assert not any("symbolic" in line for line in notes.lines)
    lost = view / next(iter(made))
    lost.unlink()
    prepare(settings, "sav")
    assert lost.is_symlink() and lost.exists()
    assert verify.run(settings, ["sav"], Notes()) == 0


def test_on_one_file_system_they_are_hard_links(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    keys = {"silver_path": "silver", "sav_videos_fps_6_download_path": "v.tar"}
    settings, notes = config(tmp_path, **keys), Notes()
    prepare(settings, "sav", notes=notes)
    view = settings.subset("sav").frames_view
    assert view is not None
    for name in products(settings, "sav"):
        assert (view / name).samefile(settings.subset("sav").images / name)
        assert not (view / name).is_symlink()
    assert not any("symbolic" in line for line in notes.lines)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
@pytest.mark.parametrize("has_symlinks", [True, False])
def test_whatever_the_file_system_has_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, has_symlinks: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    source, path = tmp_path / "a.jpg", tmp_path / "frames" / "b" / "a.jpg"
    source.write_bytes(b"x")
    monkeypatch.setattr(os, "link", refuse)
    if not has_symlinks:
        monkeypatch.setattr(os, "symlink", refuse)
    for _ in range(2):
        files.link_anywhere(source, path)
        assert path.read_bytes() == b"x" and path.is_symlink() == has_symlinks
    assert [each.name for each in path.parent.iterdir()] == ["a.jpg"]


def test_a_full_disk_is_no_reason_to_link_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(Exception, match="no space"):
        files.link_anywhere(tmp_path / "a", tmp_path / "b")
