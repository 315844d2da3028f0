"""SA-V train: some shards or videos, manual or automatic masklets, in flat folders."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from saco_data.config.settings import Settings
from saco_data.dataset import sav_json
from saco_data.dataset.listing import Found
from saco_data.engine import forecast, status, verify
from saco_data.engine.events import Stages
from saco_data.model.errors import ConfigError
from saco_data.model.reasons import Reason
from saco_data.planning.costs import Costs
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sources import Context, make
from saco_data.sources.sav_train import SavTrainSource
from saco_data.state.ledger import Ledger
from saco_data.storage import picture_folders
from tests.helpers.damaged_tars import TAILS, damage_tail
from tests.helpers.folders import config, tree, write_files
from tests.helpers.pipeline import Notes, items, prepare, products

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


def shard(number: int) -> dict[str, bytes]:
    """The members of a shard."""
    raw = build_subset(TRAIN).raw
    return {name: content for name, content in raw.items() if f"/sav_{number:03d}/" in name}


def pack_shards() -> dict[str, bytes]:
    return {f"sav_{number:03d}.tar": pack_tar(shard(number)) for number in range(3)}


def offer(mounts: Mounts, number: int, members: dict[str, bytes], content: bytes = b"") -> None:
    """Publishes another archive for a shard, with its checksum."""
    cdn: LinksCdn = mounts.servers["sa-v"]
    cdn.offer(f"sav_{number:03d}.tar", content or pack_tar(members))
    mounts.write("sa-v_links.txt", cdn.renew())


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
    own = shard(1)
    name = next(name for name in own if name.endswith(kind))
    if kind == ".mp4":
        own[name] = own[name][: len(own[name]) // 2]
    else:
        own[name] = own[name].replace(
            b'"masklet_visibility_changes": [0', b'"masklet_visibility_changes": [3'
        )
    offer(mounts, 1, own)
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 3
    reasons = [item.reason for item in items(settings, TRAIN).values()]
    reason = Reason.CORRUPT_VIDEO if kind == ".mp4" else Reason.WRONG_DIGEST
    assert [each for each in reasons if each is not Reason.OK] == [reason]


def frames_of(shards: tuple[int, ...] = (0, 1, 2)) -> dict[str, bytes]:
    """Every fourth frame of the videos, decoded one after the other and saved by OpenCV."""
    found = {}
    for name, content in expected(".mp4", shards=shards).items():
        with av.open(io.BytesIO(content), "r") as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % 4 == 0:
                    encoded = cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"))[1]
                    path = f"JPEGImages_6fps/{Path(name).stem}/{number:05d}.jpg"
                    found[path] = encoded.tobytes()
    return found


@pytest.mark.parametrize("kind", ["links", "archives", "folder"])
@pytest.mark.parametrize("media", ["frames", "both"])
def test_every_fourth_frame(mounts: Mounts, kind: str, media: str) -> None:
    raw = build_subset(TRAIN).raw
    keys: dict[str, Any] = {"media": media, "annotations": "manual", "shards": [0, 2]}
    if kind != "links":
        given = pack_shards() if kind == "archives" else raw
        write_files(mounts.folder.parent / "given", given)
        keys |= {"raw": {"train": "given"}, "links_file": None}
    settings = configured(mounts, **keys)
    assert prepare(settings, TRAIN) == 0
    endings = ("_manual.json",) if media == "frames" else (".mp4", "_manual.json")
    assert products(settings, TRAIN) == frames_of((0, 2)) | expected(*endings, shards=(0, 2))
    own = settings.subset(TRAIN)
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    # One item a video in the ledger, whose digest is that of its pictures.
    known = {name: item for name, item in items(settings, TRAIN).items() if "6fps" in name}
    assert {name.count("/") for name in known} == {1} and len(known) == 8
    for name, item in known.items():
        assert item.sha256 == picture_folders.sha256_of(own.images / name)
        assert item.facts["frames"] == 48
    assert verify.run(settings, [TRAIN], Notes()) == 0
    before, asked = tree(settings.root), sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert tree(settings.root) == before and sum(mounts.server.requests.values()) == asked


def test_frames_are_made_of_finished_videos(mounts: Mounts) -> None:
    assert prepare(configured(mounts, shards=[1]), TRAIN) == 0
    asked = mounts.server.requests["/links/sav_001.tar"]
    settings = configured(mounts, shards=[1], media="both")
    assert prepare(settings, TRAIN) == 0
    assert mounts.server.requests["/links/sav_001.tar"] == asked
    assert products(settings, TRAIN) == frames_of((1,)) | expected(*ALL, shards=(1,))


@pytest.mark.parametrize("how", ["lost", "cut", "flipped", "gone"])
def test_a_damaged_frame_costs_its_video_alone(mounts: Mounts, how: str) -> None:
    settings = configured(mounts, shards=[1], media="frames")
    assert prepare(settings, TRAIN) == 0
    right = products(settings, TRAIN)
    folder = settings.subset(TRAIN).images / "JPEGImages_6fps"
    path = sorted(folder.rglob("*.jpg"))[3]
    content = path.read_bytes()
    if how == "gone":
        shutil.rmtree(path.parent)
    elif how == "lost":
        path.unlink()
    else:
        at = len(content) // 2
        flipped = content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
        path.write_bytes(content[:-100] if how == "cut" else flipped)
    if how == "flipped":
        notes = Notes()
        assert verify.run(settings, [TRAIN], notes) == 3
        assert any(path.parent.name in line and "changed" in line for line in notes.lines)
    others = {each: each.stat().st_mtime_ns for each in folder.rglob("*") if each.is_file()}
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == right
    changed = {each for each, at in others.items() if each.stat().st_mtime_ns != at}
    assert {each.parent for each in changed} <= {path.parent}


def test_frames_are_known_again_without_the_ledger(mounts: Mounts) -> None:
    settings = configured(mounts, shards=[1], media="frames")
    assert prepare(settings, TRAIN) == 0
    shutil.rmtree(settings.state)
    before = tree(settings.root)
    asked = mounts.server.requests["/links/sav_001.tar"]
    assert prepare(settings, TRAIN) == 0
    assert tree(settings.root) == before
    assert mounts.server.requests["/links/sav_001.tar"] == asked


def test_another_number_of_frames_than_annotated_is_named(mounts: Mounts) -> None:
    own = shard(1)
    name = next(name for name in own if name.endswith("_manual.json"))
    own[name] = own[name].replace(b'"video_frame_count": 48.0', b'"video_frame_count": 47.0')
    offer(mounts, 1, own)
    notes = Notes()
    assert prepare(configured(mounts, shards=[1], media="frames"), TRAIN, notes=notes) == 0
    video = Path(name).stem.removesuffix("_manual")
    assert any(f"{video} has 48, its annotations say 47, 48" in each for each in notes.lines)


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_one_shard_at_a_time_is_on_the_disk(
    mounts: Mounts, is_elsewhere: bool, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured(mounts, media="frames", annotations="manual")
    own = settings.subset(TRAIN)
    if is_elsewhere:
        own.folder.parent.mkdir(parents=True)
        own.folder.symlink_to(elsewhere)
    left: list[list[Path]] = []

    def read(self: SavTrainSource, archive: str, context: Context) -> Found:
        left.append([path for path in own.raw_folder.rglob("*") if path.is_file()])
        return original(self, archive, context)

    original = SavTrainSource._read
    monkeypatch.setattr(SavTrainSource, "_read", read)
    assert prepare(settings, TRAIN) == 0
    assert left == [[], [], []]
    assert products(settings, TRAIN) == frames_of() | expected("_manual.json")


def test_an_archive_that_fails_leaves_the_shards_before_it_done(mounts: Mounts) -> None:
    cdn: LinksCdn = mounts.servers["sa-v"]
    right = cdn.contents.pop("sav_002.tar")
    settings = configured(mounts, media="frames")
    assert prepare(settings, TRAIN) in (3, 4)
    assert products(settings, TRAIN) == frames_of((0, 1)) | expected(*ALL[1:], shards=(0, 1))
    with Ledger(settings.state, read_only=True) as ledger:
        assert not status.read(settings, ledger, [TRAIN]).complete
    cdn.offer("sav_002.tar", right)
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == frames_of() | expected(*ALL[1:])


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("kind", ["links", "archives"])
def test_an_archive_that_was_published_damaged(
    mounts: Mounts, kind: str, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The md5 is right: what is before the damage is used, and the source is named."""
    whole = pack_tar(shard(1))
    last = list(shard(1))[-1]
    content = damage_tail(whole, last, tail)
    keys: dict[str, Any] = {}
    if kind == "links":
        offer(mounts, 1, {}, content)
    else:
        digest = hashlib.sha256(content).hexdigest()
        given = {"sav_001.tar": content, "sav_sha256sum.chk": f"{digest}  sav_001.tar\n".encode()}
        write_files(mounts.folder.parent / "given", given)
        keys = {"raw": {"train": "given"}, "links_file": None}
    settings = configured(mounts, shards=[1], media="both", **keys)
    assert prepare(settings, TRAIN) == 0
    right = frames_of((1,)) | expected(*ALL, shards=(1,))
    del right[f"annotations/{Path(last).name}"]
    assert products(settings, TRAIN) == right
    assert "damaged at its source; the 10 files" in caplog.text


def test_a_damaged_archive_without_its_checksum_is_fetched_again(mounts: Mounts) -> None:
    whole = pack_tar(shard(1))
    offer(mounts, 1, {}, whole[: len(whole) // 2])
    mounts.server.files["/sums/sav_md5sum.chk"] = b""
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 3
    offer(mounts, 1, {}, whole)
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == expected(*ALL, shards=(1,))


@pytest.mark.parametrize("kind", ["archives", "folder"])
def test_shards_at_hand_are_used(tmp_path: Path, kind: str) -> None:
    raw = build_subset(TRAIN).raw
    given = pack_shards() if kind == "archives" else raw
    write_files(tmp_path / "given", given)
    own = {"path": "sa-v", "raw": {"train": "given"}, "shards": [0, 2]}
    settings = config(tmp_path, collections={"sa-v": own})
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == expected(*ALL, shards=(0, 2))


def planned(mounts: Mounts, **keys: Any) -> Costs:
    (line,) = forecast.make(configured(mounts, **keys), [TRAIN]).lines
    return line.costs


def test_the_plan_says_what_is_read_and_what_is_kept(mounts: Mounts) -> None:
    costs = planned(mounts, shards=None)
    assert costs.fetch.likely == 442_000_000_000
    assert sum(costs.kept.values()) == 442_000_000_000
    assert costs.seconds / 3600 == pytest.approx(9.8, abs=0.1)
    costs = planned(mounts, shards=["0-27"], annotations="manual")
    assert costs.fetch.likely == 221_000_000_000
    assert costs.kept == {"videos": 215_000_000_000, "manual annotations": 2_000_000_000}
    frames = planned(mounts, shards=["0-27"], annotations="manual", media="frames")
    assert frames.kept.keys() == {"manual annotations", "frames"}
    assert frames.seconds > costs.seconds
    # Only one shard of videos is on the disk at a time.
    assert frames.peak.likely < sum(frames.kept.values()) + 8_000_000_000
    sample = planned(mounts, shards=None, sample={"videos": 1000, "seed": 1})
    assert sample.fetch.likely == pytest.approx(442e9 * 1000 / 50583, rel=0.01)
    half = planned(mounts, shards=None, annotations="manual", most_edited=0.5)
    assert half.kept["videos"] == 215_000_000_000 and half.fetch.likely < 222_000_000_000


def test_the_plan_counts_what_is_not_listed_yet(mounts: Mounts) -> None:
    assert prepare(configured(mounts, shards=[0]), TRAIN) == 0
    assert planned(mounts, shards=[0]).fetch.likely == 0
    costs = planned(mounts, shards=[0, 1])
    assert costs.fetch.likely == 442_000_000_000 // 56


def edited(content: bytes, count: int) -> bytes:
    """An annotation file that says how many frames of each object were edited by hand."""
    masklets = json.loads(content)
    return json.dumps(masklets | {"masklet_edited_frame_count": [count, 0, None]}).encode()


@pytest.fixture
def ranked(mounts: Mounts) -> list[str]:
    """All videos, from the most edited one to the least; some are equal."""
    raw, counts = {}, {}
    for path, content in build_subset(TRAIN).raw.items():
        name = Path(path).name
        video = name[:10]
        counts[video] = int(hashlib.md5(video.encode()).hexdigest(), 16) % 7
        raw[path] = edited(content, counts[video]) if name.endswith("_manual.json") else content
    for number in range(3):
        own = {name: content for name, content in raw.items() if f"/sav_{number:03d}/" in name}
        offer(mounts, number, own)
    return sorted(counts, key=lambda video: (-counts[video], video))


def chosen(settings: Settings) -> set[str]:
    return {re.findall(r"sav_\d{6}", name)[0] for name in products(settings, TRAIN)}


def test_the_most_edited_half(mounts: Mounts, ranked: list[str]) -> None:
    settings = configured(mounts, most_edited=0.5, annotations="manual")
    assert prepare(settings, TRAIN) == 0
    assert chosen(settings) == set(ranked[:6])
    assert len(products(settings, TRAIN)) == 12
    before = sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert sum(mounts.server.requests.values()) == before
    # Another share, and then all: only what is new is fetched.
    more = configured(mounts, most_edited=0.75, annotations="manual")
    assert prepare(more, TRAIN) == 0
    assert chosen(more) == set(ranked[:9])
    everything = configured(mounts, annotations="manual")
    assert prepare(everything, TRAIN) == 0
    assert chosen(everything) == set(ranked)


def test_a_sample_is_the_same_for_the_same_seed(mounts: Mounts) -> None:
    taken = []
    for place, own in (("a", (4, 1)), ("b", (4, 1)), ("c", (4, 2)), ("d", (7, 1))):
        sample = {"videos": own[0], "seed": own[1]}
        settings = configured(mounts, path=place, sample=sample)
        assert prepare(settings, TRAIN) == 0
        taken.append(chosen(settings))
        assert len(taken[-1]) == own[0]
    assert taken[0] == taken[1] != taken[2]
    assert taken[0] < taken[3]


def test_a_sample_of_the_most_edited_at_hand(mounts: Mounts, ranked: list[str]) -> None:
    cdn: LinksCdn = mounts.servers["sa-v"]
    given = {name: content for name, content in cdn.contents.items() if name.endswith(".tar")}
    write_files(mounts.folder.parent / "given", given)
    keys = {"raw": {"train": "given"}, "links_file": None, "media": "frames"}
    settings = configured(mounts, most_edited=0.5, sample={"videos": 3}, **keys)
    assert prepare(settings, TRAIN) == 0
    assert len(chosen(settings)) == 3 and chosen(settings) < set(ranked[:6])


def test_a_choice_waits_for_all_listings(mounts: Mounts) -> None:
    cdn: LinksCdn = mounts.servers["sa-v"]
    right = cdn.contents.pop("sav_002.tar")
    settings = configured(mounts, sample={"videos": 5})
    assert prepare(settings, TRAIN) in (3, 4)
    assert not products(settings, TRAIN)
    assert prepare(settings, TRAIN, stages=Stages(fetch=False)) == 4
    cdn.offer("sav_002.tar", right)
    assert prepare(settings, TRAIN) == 0
    assert len(chosen(settings)) == 5
