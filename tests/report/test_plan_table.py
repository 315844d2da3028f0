"""The plan: the decisions of `prepare`, what they cost, and a table that fits a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.engine import forecast
from saco_data.engine.forecast import Line
from saco_data.model.errors import DiskFull
from saco_data.planning import costs, disk
from saco_data.planning.costs import Costs, Size
from saco_data.planning.decisions import Decision
from saco_data.planning.disk import Room
from saco_data.sandbox.packing import pack_tar, pack_zip
from saco_data.storage import folders
from tests.conftest import Saco
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.names import SILVER, manifest
from tests.helpers.pipeline import Notes, prepare, products

TERABYTE = 10**12


pytestmark = pytest.mark.usefixtures("no_credentials")


def line(settings: Settings, subset: str) -> Line:
    (found,) = forecast.make(settings, [subset]).lines
    return found


def frames(count: int, videos: int = 1, **fields: Any) -> dict[str, Any]:
    """A document of frames, `count` of each video."""
    return document(
        *(
            image(
                v * count + n,
                f"v{v}/{n:05d}.jpg",
                original_video=f"{'abcdefghij'[v % 10]}{v:010d}"[:11],
                global_frame_idx=n,
                image_size=[720, 1280],
                **fields,
            )
            for v in range(videos)
            for n in range(count)
        )
    )


def geode(folder: Path, **keys: Any) -> Settings:
    """GeoDE from a local zip, with the one member that the annotations miss."""
    subset = build_one(folder, "geode")
    (folder / "geode.zip").write_bytes(pack_zip(subset.raw))
    return config(folder, geode_raw="geode.zip", **keys)


def test_the_plan_is_what_prepare_then_does(tmp_path: Path) -> None:
    settings = geode(tmp_path)
    before = line(settings, "geode")
    assert before.files == before.to_make == 6 and before.there == 0
    assert prepare(settings, "geode") == 0
    made = products(settings, "geode")
    assert len(made) == 5, "one is not in the archive"
    after = line(settings, "geode")
    assert after.to_make == 0 and after.there == 5
    assert after.decisions[Decision.REST] == 1
    assert after.costs.peak == Size() and after.costs.seconds == 0


def test_what_a_local_zip_holds_is_known_to_the_byte(tmp_path: Path) -> None:
    settings = geode(tmp_path)
    found = line(settings, "geode").costs
    assert found.fetch == Size(), "it is on this machine"
    prepare(settings, "geode")
    written = sum(map(len, products(settings, "geode").values()))
    assert found.peak.least == written
    typical = manifest("geode").raw.typical_bytes
    assert found.peak.likely == written + typical, "the member that is missing is only guessed"


def test_a_folder_is_known_too_and_a_tar_is_estimated(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "bdd100k")
    for name, content in subset.raw.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "raw.tar").write_bytes(pack_tar(subset.raw))
    of_folder = line(config(tmp_path, bdd100k_raw="folder"), "bdd100k").costs.peak
    of_tar = line(config(tmp_path, bdd100k_raw="raw.tar"), "bdd100k").costs.peak
    assert of_folder.least == sum(map(len, subset.raw.values()))
    assert of_tar == Size(0, 6 * manifest("bdd100k").raw.typical_bytes)


def test_removing_videos_bounds_the_disk_to_jobs_and_two(tmp_path: Path) -> None:
    annotate(tmp_path, "yt1b", frames(3, videos=40))
    video = manifest("yt1b").raw.typical_bytes
    kept = line(config(tmp_path), "yt1b").costs
    removed = line(config(tmp_path, remove_downloaded_videos_yt1b=True), "yt1b").costs
    assert kept.fetch == removed.fetch == Size(0, 40 * video)
    assert kept.peak.likely - removed.peak.likely == (40 - 4) * video
    assert removed.peak.least == 120 * (1280 * 720 // 64), "no frame can be smaller"


def test_hours_follow_the_polite_rates_of_the_config(tmp_path: Path) -> None:
    annotate(tmp_path, "yt1b", frames(1, videos=40))
    slow = {"limits": {"yt1b": {"sleep_seconds": [50, 70], "requests_per_second": 2}}}
    moving = 40 * manifest("yt1b").raw.typical_bytes / costs.LINE_RATE
    assert line(config(tmp_path, **slow), "yt1b").costs.seconds == 40 * (60 + 3 / 2) + moving


def test_a_gzip_is_read_to_its_end_and_its_size_is_known(tmp_path: Path) -> None:
    build_one(tmp_path, "inaturalist")
    found = line(config(tmp_path), "inaturalist").costs
    assert found.fetch == costs.known(186_000_000_000)
    assert found.seconds == pytest.approx(186e9 / costs.LINE_RATE)
    assert found.peak.likely == 6 * manifest("inaturalist").raw.typical_bytes


@pytest.mark.parametrize("subset", SILVER)
def test_without_annotations_there_is_an_upper_bound(tmp_path: Path, subset: str) -> None:
    found = line(config(tmp_path), subset)
    facts = manifest(subset).annotations
    assert found.files is None
    assert found.costs.written == (facts.files or facts.image_nps)
    assert found.costs.at_most is (facts.files is None)
    assert found.costs.fetch.likely > 0
    assert "set HF_TOKEN" in found.needs[0]


@pytest.mark.parametrize(
    ("subset", "keys", "words"),
    [
        ("geode", {}, "geode.zip"),
        ("geode", {"geode_raw": "gone.zip"}, "gone.zip does not exist"),
        ("sav", {}, "sav_links_file"),
        ("sav", {"sav_links_file": "none.txt"}, "the links file cannot be read"),
        (
            "sav",
            {"sav_videos_fps_6_download_path": "https://cdn.example/v.tar?Expires=1600000000"},
            "the link expired on 2020-09-13 12:26 UTC",
        ),
        ("ego4d", {}, "no AWS keys"),
        ("yt1b", {}, "no cookies"),
        ("yt1b", {"cookies_path": "none.txt"}, "the cookies file cannot be used"),
    ],
)
def test_what_needs_the_user_is_said_once_and_without_a_network(
    tmp_path: Path, subset: str, keys: dict[str, str], words: str
) -> None:
    annotate(tmp_path, subset, frames(1))
    found = line(config(tmp_path, **keys), subset)
    (need,) = found.needs
    assert words in need
    assert not need.startswith(f"{subset}:")
    assert found.files == 1, "the numbers are there all the same"


@pytest.mark.parametrize(
    ("subset", "keys"),
    [
        ("ego4d", {"aws_access_key_id": "A" * 20, "aws_secret_access_key": "s" * 40}),
        ("nga", {}),
        ("droid", {}),
    ],
)
def test_a_subset_with_all_it_needs_asks_for_nothing(
    tmp_path: Path, subset: str, keys: dict[str, str]
) -> None:
    annotate(tmp_path, subset, document())
    assert line(config(tmp_path, **keys), subset).needs == []


def enormous(folder: Path) -> Settings:
    """A local picture that no disk has room for, and a small subset beside it."""
    annotate(folder, "bdd100k", document(image(1, "big.jpg")))
    raw = folder / "raw" / "100k" / "train" / "big.jpg"
    raw.parent.mkdir(parents=True)
    with raw.open("wb") as file:
        file.truncate(8 * TERABYTE)  # a hole: it takes no room
    return geode(folder, bdd100k_raw="raw")


def test_what_certainly_does_not_fit_is_refused_and_the_rest_prepared(tmp_path: Path) -> None:
    settings, notes = enormous(tmp_path), Notes()
    assert prepare(settings, "bdd100k", "geode", notes=notes) == DiskFull.exit_code
    assert len(products(settings, "geode")) == 5
    assert products(settings, "bdd100k") == {}
    (said,) = [each for each in notes.lines if each.startswith("bdd100k") and "fit" in each]
    assert "at least 8.0 TB needed" in said and "Free some space" in said


def test_the_plan_says_that_it_does_not_fit(tmp_path: Path) -> None:
    table = forecast.make(enormous(tmp_path), ["bdd100k", "geode"]).as_json()
    (system,) = table["file_systems"]
    assert system["fits"] is False
    assert system["peak_bytes_at_least"] > 8 * TERABYTE


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_plan_ends_with_5_only_where_it_certainly_does_not_fit(
    tmp_path: Path, saco: Saco, form: list[str]
) -> None:
    enormous(tmp_path)
    full = saco("plan", "bdd100k", "geode", *form, cwd=tmp_path)
    assert full.returncode == DiskFull.exit_code and "bdd100k" in full.stdout
    assert saco("plan", "geode", *form, cwd=tmp_path).returncode == 0


def test_an_estimate_that_does_not_fit_is_only_a_warning(tmp_path: Path) -> None:
    room = Room()
    (warning,) = room.reserve(Costs("nga", disk={tmp_path / "new": Size(10, 10**18)}))
    assert "about 1000000 TB needed" in warning


def test_disk_space_is_not_promised_twice(tmp_path: Path) -> None:
    room = Room()
    free = disk._measure(tmp_path).free
    half = Size(free * 6 // 10, free * 6 // 10)
    room.reserve(Costs("one", disk={tmp_path / "one": half}))
    with pytest.raises(DiskFull):
        room.reserve(Costs("two", disk={tmp_path / "two": half}))
    small = Size(free // 10, free // 10)
    # The refused one took nothing.
    room.reserve(Costs("three", disk={tmp_path / "three": small}))


def test_file_systems_are_told_apart_by_what_holds_the_folder(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or folders.device_of(other) == folders.device_of(tmp_path):
        pytest.skip("no second file system here")
    name = f"{'0' * 8}-0000-0000-0000-{'0' * 12}.jpg"
    annotate(tmp_path, "nga", document(image(1, name)))
    settings = config(tmp_path, nga_path=str(other / "saco-none" / "nga"))
    table = forecast.make(settings, ["nga"])
    by_device = {folders.device_of(each.folder): each.needed.likely for each in table.systems}
    raw = manifest("nga").raw.typical_bytes
    assert by_device == {folders.device_of(tmp_path): raw, folders.device_of(other): raw}


def on_terminal(folder: Path, width: int, *arguments: str) -> str:
    """What a command prints on a terminal of this width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    saco = Path(sys.executable).with_name("saco")
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen([saco, *arguments], cwd=folder, stdout=slave, env=environment) as done:
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
    os.close(master)
    assert done.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).replace("\r", "")


def test_all_numbers_fit_into_eighty_columns(tmp_path: Path) -> None:
    annotate(tmp_path, "yt1b", frames(100, videos=50))
    config(tmp_path)
    text = on_terminal(tmp_path, 80, "plan")
    rows = text.splitlines()
    links = [row for row in rows if "http" in row]  # a link is not broken
    assert max(len(row) for row in rows if row not in links) <= 80
    assert "…" not in text
    (row,) = [row for row in rows if row.startswith("yt1b ")]
    assert row.split() == ["yt1b", "5000", "0", "5000", "0", "~2.0", "GB", "~2.7", "GB", "0.3"]
    assert text.index("Needs you") > text.index("together")
    assert re.search(r"several +no annotation file", text), "said once for all"


def test_json_has_all_numbers(tmp_path: Path) -> None:
    geode(tmp_path)
    saco = Path(sys.executable).with_name("saco")
    done = subprocess.run(
        [saco, "plan", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert set(found["subsets"]) == set(SILVER)
    assert found["subsets"]["geode"]["files"] == 6
    assert found["subsets"]["nga"]["files"] is None and found["subsets"]["nga"]["at_most"]
    assert found["total"]["fetch_bytes"] > 186_000_000_000
    assert not (tmp_path / "data").exists(), "nothing was written"
