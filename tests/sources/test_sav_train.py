"""SA-V train: some shards or videos, manual or automatic masklets, in flat folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.dataset import sav_json
from saco_data.engine import forecast
from saco_data.model.errors import ConfigError
from saco_data.model.reasons import Reason
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sources import make
from tests.helpers.folders import config, write_files
from tests.helpers.pipeline import items, prepare, products

TRAIN = "sa-v/train"


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as served:
        yield served


def configured(mounts: Mounts, **keys: Any) -> Settings:
    own = {**mounts.keys["collections"]["sa-v"], "path": "sa-v", **keys}
    return config(mounts.folder.parent, collections={"sa-v": own})


def expected(*endings: str, shards: tuple[int, ...] = (0, 1, 2)) -> dict[str, bytes]:
    found = {}
    for path, content in build_subset(TRAIN).raw.items():
        folder, name = path.split("/")[-2:]
        if name.endswith(endings) and int(folder[-3:]) in shards:
            found[f"{'videos' if name.endswith('.mp4') else 'annotations'}/{name}"] = content
    return found


ALL = (".mp4", "_manual.json", "_auto.json")


def test_videos_and_annotations_lie_in_flat_folders(mounts: Mounts) -> None:
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == expected(*ALL)
    own = settings.subset(TRAIN)
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    # The names that SAM 2's loader asks for.
    for video in (own.images / "videos").iterdir():
        path = own.images / "annotations" / f"{video.stem}_manual.json"
        assert sav_json.read(path).frames == list(range(0, 48, 4))


def test_another_choice_fetches_only_what_is_new(mounts: Mounts) -> None:
    settings = configured(mounts, shards=[1], annotations="manual")
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == expected(".mp4", "_manual.json", shards=(1,))
    asked = mounts.server.requests["/links/sav_000.tar"]
    assert not asked
    more = configured(mounts, shards=["1-2"], annotations="both")
    assert prepare(more, TRAIN) == 0
    assert products(more, TRAIN) == expected(*ALL, shards=(1, 2))
    before = sum(mounts.server.requests.values())
    assert prepare(more, TRAIN) == 0
    assert sum(mounts.server.requests.values()) == before


def test_a_list_of_videos_reads_only_their_shards(mounts: Mounts) -> None:
    name = min(name for name in expected(".mp4", shards=(2,)))
    video = Path(name).stem
    write_files(mounts.folder.parent, {"videos.txt": f"{video}\n".encode()})
    settings = configured(mounts, videos="videos.txt", annotations="manual")
    assert prepare(settings, TRAIN) == 0
    assert set(products(settings, TRAIN)) == {name, f"annotations/{video}_manual.json"}
    asked = mounts.server.requests
    assert asked["/links/sav_002.tar"] and not asked["/links/sav_000.tar"]


@pytest.mark.parametrize(
    ("content", "said"), [("video_1", "is not the id"), ("", "names no video"), (None, "read")]
)
def test_a_wrong_list_of_videos_is_named(mounts: Mounts, content: str | None, said: str) -> None:
    if content is not None:
        write_files(mounts.folder.parent, {"videos.txt": content.encode()})
    settings = configured(mounts, videos="videos.txt")
    with pytest.raises(ConfigError, match=said):
        make(settings.subset(TRAIN)).archives()


def test_a_shard_that_does_not_exist_is_named(mounts: Mounts) -> None:
    with pytest.raises(ConfigError, match="no shard 56"):
        make(configured(mounts, shards=["54-56"]).subset(TRAIN)).archives()


@pytest.mark.parametrize("kind", [".mp4", "_manual.json"])
def test_a_damaged_member_is_named(mounts: Mounts, kind: str) -> None:
    raw = build_subset(TRAIN).raw
    own = {name: content for name, content in raw.items() if "/sav_001/" in name}
    name = next(name for name in own if name.endswith(kind))
    if kind == ".mp4":
        own[name] = own[name][: len(own[name]) // 2]
    else:
        own[name] = own[name].replace(
            b'"masklet_visibility_changes": [0', b'"masklet_visibility_changes": [3'
        )
    cdn: LinksCdn = mounts.servers["sa-v"]
    cdn.offer("sav_001.tar", pack_tar(own))
    mounts.write("sa-v_links.txt", cdn.renew())
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 3
    reasons = [item.reason for item in items(settings, TRAIN).values()]
    reason = Reason.CORRUPT_VIDEO if kind == ".mp4" else Reason.WRONG_DIGEST
    assert [each for each in reasons if each is not Reason.OK] == [reason]


@pytest.mark.parametrize("kind", ["archives", "folder"])
def test_shards_at_hand_are_used(tmp_path: Path, kind: str) -> None:
    raw = build_subset(TRAIN).raw
    shards = {
        f"sav_{shard:03d}.tar": {n: c for n, c in raw.items() if f"/sav_{shard:03d}/" in n}
        for shard in range(3)
    }
    given = {name: pack_tar(own) for name, own in shards.items()} if kind == "archives" else raw
    write_files(tmp_path / "given", given)
    own = {"path": "sa-v", "raw": {"train": "given"}, "shards": [0, 2]}
    settings = config(tmp_path, collections={"sa-v": own})
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == expected(*ALL, shards=(0, 2))


def test_the_plan_knows_the_share_of_the_shards(mounts: Mounts) -> None:
    settings = configured(mounts, shards=["0-27"])
    (line,) = forecast.make(settings, [TRAIN]).lines
    assert line.costs.fetch.likely == 221_000_000_000
