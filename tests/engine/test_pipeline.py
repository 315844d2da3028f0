"""All stages for SA-V, and what happens when one of them fails."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from saco_data.engine.events import Stages
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipe import MiniatureSubset
from saco_data.sandbox.scene import read_number
from saco_data.state.ledger import Ledger
from saco_data.storage.files import sha256_of
from tests.conftest import Saco
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config, tree, write_files
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, is_unpruned, items, prepare, products, states


def write_videos(folder: Path, subset: MiniatureSubset) -> None:
    """Puts the videos of SA-V where the official scripts put them."""
    write_files(folder / "data" / "sav" / "downloaded_videos", subset.raw)


def tar_file(folder: Path, subset: MiniatureSubset) -> str:
    (folder / "videos_fps_6.tar").write_bytes(pack_tar(subset.raw))
    return "videos_fps_6.tar"


def test_every_frame_is_the_annotated_one_in_both_places(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    settings = config(tmp_path, sav_videos_fps_6_download_path=tar_file(tmp_path, subset))
    assert prepare(settings, "sav") == 0
    made = products(settings, "sav")
    present = [each for each in subset.entries if subset.raw_name[each.video or ""] in subset.raw]
    assert set(made) == {each.file_name for each in present} and made
    for entry in present:
        picture = Image.open(io.BytesIO(made[entry.file_name]))
        assert picture.size == entry.size
        assert read_number(picture) == entry.time
        view = tmp_path / "data" / "sav" / "frames" / entry.file_name
        assert view.samefile(settings.subset("sav").images / entry.file_name)


def test_videos_that_lie_in_the_official_place_are_used(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    write_videos(tmp_path, subset)
    settings = config(tmp_path)
    # Without a link, files on disk are done, the others wait for the user, nothing is pruned.
    assert prepare(settings, "sav") == 4
    assert len(products(settings, "sav")) == 9
    assert is_unpruned(settings, "sav")


def test_videos_are_removed_once_their_frames_are_done(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    settings = config(
        tmp_path,
        sav_videos_fps_6_download_path=tar_file(tmp_path, subset),
        remove_downloaded_videos_sav=True,
    )
    assert prepare(settings, "sav") == 0
    assert list(settings.subset("sav").raw_folder.iterdir()) == []
    before = tree(tmp_path)
    assert prepare(settings, "sav") == 0
    assert tree(tmp_path) == before


def test_stages_can_be_run_one_by_one(tmp_path: Path) -> None:
    from saco_data.sandbox.http_server import FileServer

    subset = build_one(tmp_path, "sav")
    with FileServer({"/videos_fps_6.tar": pack_tar(subset.raw)}) as server:
        settings = config(tmp_path, sav_videos_fps_6_download_path=f"{server.url}/videos_fps_6.tar")
        assert prepare(settings, "sav", stages=Stages(process=False)) == 0
        assert products(settings, "sav") == {}
        assert len(list(settings.subset("sav").raw_folder.iterdir())) == len(subset.raw)
    # The server is closed: processing needs none.
    assert prepare(settings, "sav", stages=Stages(fetch=False)) == 0
    assert len(products(settings, "sav")) == 9


def test_a_frame_beyond_the_end_is_named_and_never_a_neighbour(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    video = subset.entries[0].video
    size = [112, 192]
    fields = {"original_video": video, "image_size": size, "width": 192, "height": 112}
    annotate(
        tmp_path,
        "sav",
        document(
            image(0, "v/ok.jpg", global_frame_idx=29, **fields),
            image(1, "v/late.jpg", global_frame_idx=30, **fields),
            image(2, "v/none.jpg", **fields),
        ),
    )
    settings = config(tmp_path, sav_videos_fps_6_download_path=tar_file(tmp_path, subset))
    assert prepare(settings, "sav") == 4
    found = items(settings, "sav")
    assert found["v/ok.jpg"].state is State.DONE
    assert found["v/late.jpg"].reason is Reason.FRAME_BEYOND_END
    assert "30 frames" in found["v/late.jpg"].detail
    assert found["v/none.jpg"].reason is Reason.NO_FRAME_INDEX
    assert is_unpruned(settings, "sav")


@pytest.mark.parametrize("name", ["../../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg"])
def test_a_name_that_would_leave_its_folder_is_refused_and_the_rest_is_done(
    tmp_path: Path, name: str
) -> None:
    subset = build_one(tmp_path, "geode")
    from saco_data.sandbox.packing import pack_zip

    (tmp_path / "g.zip").write_bytes(pack_zip(subset.raw))
    path = tmp_path / "annotations" / "silver_geode_merged_test.json"
    content = json.loads(path.read_text())
    content["images"].append(image(999, name))
    path.write_text(json.dumps(content))
    settings = config(tmp_path, geode_raw="g.zip")
    assert prepare(settings, "geode") == 4
    assert items(settings, "geode")[name].reason is Reason.UNSAFE_NAME
    assert len(products(settings, "geode")) == 5
    assert not list(tmp_path.parent.rglob("evil.jpg"))


def half_with_an_end_marker(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\xff\xd9"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (half_with_an_end_marker, Reason.CORRUPT_IMAGE),
        (lambda content: content[:-20], Reason.CORRUPT_IMAGE),
        (lambda content: b"<html>log in</html>", Reason.NOT_MEDIA),
        (lambda content: b"", Reason.NOT_MEDIA),
    ],
)
def test_a_damaged_picture_never_gets_a_final_name(
    tmp_path: Path, spoil: object, reason: Reason
) -> None:
    subset = build_one(tmp_path, "geode")
    from saco_data.sandbox.packing import pack_zip

    raw = next(iter(subset.raw))
    good = dict(subset.raw)
    subset.raw[raw] = spoil(subset.raw[raw])  # type: ignore[operator]
    (tmp_path / "g.zip").write_bytes(pack_zip(subset.raw))
    settings = config(tmp_path, geode_raw="g.zip")
    assert prepare(settings, "geode") == 3
    (name,) = [key for key, state in states(settings, "geode").items() if state is State.FAILED]
    assert items(settings, "geode")[name].reason is reason
    assert not (settings.subset("geode").images / name).exists()
    # The item was not pruned: a good copy repairs it.
    (tmp_path / "g.zip").write_bytes(pack_zip(good))
    assert prepare(settings, "geode") == 0


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    from saco_data.sandbox.packing import pack_zip

    raw = next(iter(subset.raw))
    buffer = io.BytesIO()
    Image.new("RGB", (50, 40)).save(buffer, "JPEG")
    subset.raw[raw] = buffer.getvalue()
    (tmp_path / "g.zip").write_bytes(pack_zip(subset.raw))
    settings = config(tmp_path, geode_raw="g.zip")
    assert prepare(settings, "geode") == 3
    (item,) = [
        each for each in items(settings, "geode").values() if each.reason is Reason.WRONG_SIZE
    ]
    assert item.detail == "is 50 x 40, the annotation says 160 x 120"


def test_a_rotated_original_may_look_swapped(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    from saco_data.sandbox.packing import pack_zip

    raw = next(iter(subset.raw))
    buffer = io.BytesIO()
    Image.new("RGB", (120, 160)).save(buffer, "JPEG")
    subset.raw[raw] = buffer.getvalue()
    (tmp_path / "g.zip").write_bytes(pack_zip(subset.raw))
    assert prepare(config(tmp_path, geode_raw="g.zip"), "geode") == 0


def test_a_damaged_annotation_file_stops_its_subset_only(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    annotate(tmp_path, "geode", '{"images": [')
    settings = config(tmp_path, sav_videos_fps_6_download_path=tar_file(tmp_path, subset))
    notes = Notes()
    assert prepare(settings, "geode", "sav", notes=notes) == 4
    assert states(settings, "sav") and set(states(settings, "sav").values()) == {
        State.DONE,
        State.GONE,
    }
    (line,) = [each for each in notes.lines if each.startswith("geode:")]
    assert "not whole JSON" in line and "\n" not in line


def test_the_config_may_forbid_pruning(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    settings = config(
        tmp_path,
        sav_videos_fps_6_download_path=tar_file(tmp_path, subset),
        update_annotation_sav=False,
    )
    assert prepare(settings, "sav") == 0
    assert is_unpruned(settings, "sav")


def test_a_corrupt_video_is_failed_and_prunes_nothing(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    raw = next(iter(subset.raw))
    subset.raw[raw] = b"\0" * 5000
    settings = config(tmp_path, sav_videos_fps_6_download_path=tar_file(tmp_path, subset))
    assert prepare(settings, "sav") == 3
    reasons = [item.reason for item in items(settings, "sav").values()]
    assert reasons.count(Reason.CORRUPT_VIDEO) == 3
    kept = json.loads(settings.subset("sav").derived.read_text())["images"]
    assert {each["original_video"] for each in kept} >= {raw.rpartition("/")[2]}


def run_until(folder: Path, seconds: float) -> None:
    """Starts `saco prepare` on everything below `folder` and kills it after some time."""
    process = subprocess.Popen(
        [Path(sys.executable).with_name("saco"), "prepare", "geode", "sav"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def two_subsets(folder: Path) -> None:
    from saco_data.sandbox.packing import pack_zip

    geode, sav = build_one(folder, "geode"), build_one(folder, "sav")
    (folder / "g.zip").write_bytes(pack_zip(geode.raw))
    config(
        folder,
        geode_raw="g.zip",
        sav_videos_fps_6_download_path=tar_file(folder, sav),
        remove_downloaded_videos_sav=True,
    )


def check_killed_and_continued(base: Path, saco: Saco, moments: list[float]) -> None:
    calm, stormy = base / "calm", base / "stormy"
    for folder in (calm, stormy):
        folder.mkdir()
        two_subsets(folder)
    assert saco("prepare", "geode", "sav", cwd=calm).returncode == 0
    for moment in moments:
        run_until(stormy, moment)
    done = saco("prepare", "geode", "sav", cwd=stormy)
    assert done.returncode == 0, done.stderr
    assert tree(stormy) == tree(calm)


def test_killed_at_some_moments_then_continued_equals_undisturbed(
    tmp_path: Path, saco: Saco
) -> None:
    check_killed_and_continued(tmp_path, saco, [0.5, 0.8, 1.1, 1.4])


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_a_run_cleanly_and_keeps_finished_work(
    tmp_path: Path, number: int, code: int, word: str
) -> None:
    two_subsets(tmp_path)
    process = subprocess.Popen(
        [Path(sys.executable).with_name("saco"), "prepare", "geode", "sav"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    while not (tmp_path / "data" / "silver" / ".saco" / "lock").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    _, talk = process.communicate(timeout=300)
    if process.returncode != 0:  # it may have been done already
        assert process.returncode == code and f"stopped by {word}" in talk
        assert "run again" in talk and "Traceback" not in talk
        assert f"saco prepare: stopped by {word} (exit {code}). " in talk
    assert not (tmp_path / "data" / "silver" / ".saco" / "lock").exists()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@needs_root
def test_a_full_disk_is_exit_5_and_loses_nothing(tmp_path: Path, saco: Saco) -> None:
    two_subsets(tmp_path)
    silver = tmp_path / "data" / "silver"
    silver.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", silver], check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        full = saco("prepare", "geode", "sav", cwd=tmp_path)
        assert full.returncode == 5, full.stderr
        assert "no space left" in full.stderr and "Traceback" not in full.stderr
    finally:
        subprocess.run(["umount", silver], check=True)
    assert saco("prepare", "geode", "sav", cwd=tmp_path).returncode == 0


@needs_root
def test_a_read_only_folder_is_exit_2_with_its_name(tmp_path: Path, saco: Saco) -> None:
    two_subsets(tmp_path)
    silver = tmp_path / "data" / "silver"
    silver.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", silver], check=False)
    if mounted.returncode:
        pytest.skip("cannot mount a read-only disk here")
    try:
        refused = saco("prepare", "geode", cwd=tmp_path)
        assert refused.returncode == 2, refused.stderr
        assert str(silver) in refused.stderr and "Traceback" not in refused.stderr
    finally:
        subprocess.run(["umount", silver], check=True)


def test_every_video_has_a_fingerprint(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "videos_fps_6.tar").write_bytes(pack_tar(subset.raw))
    settings = config(tmp_path, sav_videos_fps_6_download_path="videos_fps_6.tar")
    for _ in range(2):
        assert prepare(settings, "sav") == 0
        with Ledger(settings.state, read_only=True) as ledger:
            videos = ledger.items("sav", is_asset=True)
        there = {key: item for key, item in videos.items() if item.state is State.DONE}
        assert len(there) == len(subset.raw)
        for key, item in there.items():
            raw = settings.subset("sav").raw_folder / key
            assert (item.bytes, item.sha256) == (raw.stat().st_size, sha256_of(raw))
            assert item.facts["codec"] == "h264" and item.facts["frames"] > 1
            assert item.origin.endswith(key)
        # Made again from the raw file on disk: its earlier facts stay.
        for path in settings.subset("sav").images.rglob("*.jpg"):
            path.unlink()
