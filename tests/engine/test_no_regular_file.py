"""A pipe, socket or device where a file is expected is refused at once; nothing hangs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from saco_data.config.settings import load
from saco_data.engine import verify
from saco_data.engine.subset import bind_one
from saco_data.model.errors import ConfigError
from saco_data.model.finding import Verdict
from saco_data.model.reasons import Reason
from saco_data.report import page
from saco_data.transports.youtube.cookies import check_cookies
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, items, prepare
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset

pytestmark = pytest.mark.timeout(60)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


kinds = pytest.mark.parametrize("make", [make_pipe, make_socket, link_to_device])


@kinds
def test_as_config(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "C.yaml")
    with pytest.raises(ConfigError, match="not a file"):
        load(tmp_path / "C.yaml")


@kinds
def test_as_cookies(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "c.txt")
    assert any("not a file" in each.what for each in check_cookies(tmp_path / "c.txt"))


@kinds
def test_as_raw_archive(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    small = TinySubset(tmp_path)
    small.tar.unlink()
    make(small.tar)
    assert small.prepare().code == 4
    assert {item.reason for item in items(small.settings, SUBSET).values()} == {Reason.RAW_MISSING}
    source = bind_one(small.settings, SUBSET).source
    assert [each.verdict for each in source.diagnose()] == [Verdict.FAIL]


@kinds
def test_as_links_file_and_annotations(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    build_one(tmp_path, "sav")
    make(tmp_path / "links.txt")
    settings = config(tmp_path, sav_links_file="links.txt")
    notes = Notes()
    assert prepare(settings, "sav", notes=notes) == 4
    path = settings.subset("sav").pristine
    path.unlink()
    make(path)
    assert prepare(settings, "sav", notes=notes) == 4
    assert str(path) in notes.lines[-1]


@kinds
def test_as_product(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    small = TinySubset(tmp_path)
    small.prepare()
    small.product(NAMES[0]).unlink()
    make(small.product(NAMES[0]))
    assert verify.run(small.settings, [SUBSET], small.notes) == 3
    page.write(small.settings, [SUBSET])
    assert small.prepare().code == 0
    assert small.product(NAMES[0]).is_file()
