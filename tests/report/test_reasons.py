"""`saco status --reasons`: why every file that is not done is not, said once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from saco_data.config.settings import Settings
from saco_data.engine.events import Stages
from saco_data.model.reasons import Reason
from saco_data.report import reasons
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar, pack_zip
from tests.conftest import Saco
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.names import VIDEO_SUBSETS
from tests.helpers.pipeline import prepare
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset

NO_FETCH = Stages(fetch=False)


def shown(settings: Settings, *subsets: str) -> str:
    file = io.StringIO()
    reasons.show(reasons.read(settings, subsets), file)
    return file.getvalue()


@pytest.mark.parametrize("name", VIDEO_SUBSETS)
def test_pending_frames_say_that_their_video_is_not_fetched(tmp_path: Path, name: str) -> None:
    build_one(tmp_path, name)
    settings = config(tmp_path, silver_path="silver")
    assert prepare(settings, name, stages=NO_FETCH) == 3
    text = shown(settings, name)
    assert "no video is fetched yet" in text and f"saco prepare {name}" in text
    assert "Nothing failed" not in text


def test_fetched_videos_that_are_not_processed_are_told_apart(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    with FileServer({"/v.tar": pack_tar(subset.raw)}) as server:
        link = f"{server.url}/v.tar"
        settings = config(tmp_path, silver_path="silver", sav_videos_fps_6_download_path=link)
        prepare(settings, "sav", stages=Stages(process=False))
    assert "not processed yet" in shown(settings, "sav")


def test_pictures_after_a_refused_or_broken_archive_say_why(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    settings = config(tmp_path, silver_path="silver", geode_raw="g.zip")
    content = pack_tar(subset.raw)
    (tmp_path / "g.zip").write_bytes(content[: len(content) // 2])
    assert prepare(settings, "geode") == 4
    text = shown(settings, "geode")
    assert "g.zip" in text and "Nothing failed" not in text
    (tmp_path / "g.zip").write_bytes(b"<html>")
    assert prepare(settings, "geode") == 4
    text = shown(settings, "geode")
    assert "web page" in text and text.count("web page") == 1


def test_the_message_of_a_stopped_source_is_printed_once(tmp_path: Path) -> None:
    build_one(tmp_path, "bdd100k")
    settings = config(tmp_path, silver_path="silver")
    assert prepare(settings, "bdd100k") == 4
    (found,) = reasons.read(settings, ["bdd100k"])
    assert found.reason is Reason.RAW_MISSING and len(found.examples) > 1
    assert shown(settings, "bdd100k").count(found.examples[0].detail) == 1


def test_different_messages_are_all_printed(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    broken = {name: content[:400] for name, content in subset.raw.items()}
    (tmp_path / "g.zip").write_bytes(pack_zip(broken))
    settings = config(tmp_path, silver_path="silver", geode_raw="g.zip")
    prepare(settings, "geode")
    found = next(each for each in reasons.read(settings, ["geode"]) if each.examples)
    for item in found.examples:
        assert item.detail in shown(settings, "geode")


def test_whatever_ends_with_3_or_4_has_a_reason(tmp_path: Path, saco: Saco) -> None:
    """Parametrised over what may happen between two runs of one copy."""
    small = TinySubset(tmp_path)
    happenings: dict[str, Callable[[], object]] = {
        "no archive": small.tar.unlink,
        "cut": lambda: small.tar.write_bytes(b"x" * 600),
        "gone": partial(small.holds, NAMES[:3]),
    }
    for what in ("never fetched", *happenings):
        if happen := happenings.get(what):
            happen()
        small.prepare(stages=None if happen else NO_FETCH)
        state = json.loads(saco("status", SUBSET, "--json", cwd=tmp_path).stdout)
        text = saco("status", "--reasons", SUBSET, cwd=tmp_path).stdout
        assert state["complete"] or "Nothing failed" not in text, what
    small.holds(NAMES)
    small.prepare()
    assert "Nothing failed" in saco("status", "--reasons", SUBSET, cwd=tmp_path).stdout
