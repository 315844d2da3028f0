"""`saco lock`, `compare`, `diff`, `intersect` and `card` of two copies whose videos differ."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import pytest
from av.video.stream import VideoStream

from saco_data.config.settings import Settings
from saco_data.model.errors import UsageError
from saco_data.share import card, copies, lock, lock_file
from saco_data.share.compare import compare
from saco_data.share.diff import SubsetDiff, diff
from saco_data.share.matching import Verdict
from tests.conftest import Saco
from tests.helpers.executor import InlineExecutor
from tests.helpers.miniatures import Raw, prepare_miniature
from tests.helpers.names import SILVER

SUBSETS = ("geode", "sav")
SHIFT = 3


def encode_anew(video: bytes, skipped: int = 0) -> bytes:
    """A video at a lower quality, without its first frames."""
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(video), "r") as source,
        av.open(buffer, "w", format="mp4") as target,
    ):
        stream = target.add_stream("libx264", rate=6, options={"crf": "30", "threads": "1"})
        assert isinstance(stream, VideoStream)
        size = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number >= skipped:
                frame.pts = None
                target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return buffer.getvalue()


def lose_one(raw: dict[str, Raw]) -> None:
    del raw["geode"][min(raw["geode"])]


def change_videos(raw: dict[str, Raw]) -> None:
    """The first video is shifted, the second one only encoded anew; another picture is lost."""
    del raw["geode"][max(raw["geode"])]
    first, second, *_ = sorted(raw["sav"])
    raw["sav"][first] = encode_anew(raw["sav"][first], SHIFT)
    raw["sav"][second] = encode_anew(raw["sav"][second])


@pytest.fixture(scope="module")
def laboratories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Settings]:
    root = tmp_path_factory.mktemp("two")
    a = prepare_miniature(root / "a", SUBSETS, lose_one)
    b = prepare_miniature(root / "b", SUBSETS, change_videos)
    for each in (a, b):
        lock.write(each, SUBSETS, executor=InlineExecutor())
    return a, b


def test_frames_are_told_apart(laboratories: tuple[Settings, Settings]) -> None:
    a, b = laboratories
    found = compare(b, lock_file.read(lock.path_of(a)), SUBSETS, executor=InlineExecutor())
    sav, geode = found.subsets["sav"], found.subsets["geode"]
    by_video: dict[str, set[tuple[Verdict, int | None]]] = {}
    for each in sav.files:
        said = each.judgement
        by_video.setdefault(each.video or "", set()).add((said.verdict, said.shift))
    shifted, anew, *same = sorted(by_video)
    assert by_video[shifted] == {(Verdict.SHIFTED, -SHIFT)}
    assert by_video[anew] == {(Verdict.RE_ENCODED, 0)}
    assert all(by_video[each] == {(Verdict.IDENTICAL, None)} for each in same)
    assert sav.videos[shifted].in_words() == f"all frames shifted by -{SHIFT}"
    assert set(sav.videos) == {shifted, anew}
    assert geode.counts[Verdict.IDENTICAL] == 3
    assert (geode.missing_here, geode.missing_in_lock) == (1, 1)


def test_both_get_the_same_items(laboratories: tuple[Settings, Settings], saco: Saco) -> None:
    locks = [lock.path_of(each) for each in laboratories]
    written = []
    for home, order in zip(laboratories, (locks, locks[::-1]), strict=True):
        ended = saco("intersect", *order, "--json", cwd=home.silver.parent)
        assert ended.returncode == 0, ended.stderr
        said = json.loads(ended.stdout)["subsets"]
        folder = home.silver / "intersection"
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    # Nine frames are in both copies; the three of the shifted video are left out.
    assert said["sav"]["files"]["kept"] == 6 and said["sav"]["differing"] == 3
    assert said["geode"]["files"]["kept"] == 3 and said["geode"]["differing"] == 0
    record = json.loads(written[0]["silver_sav_merged_test.pruned.json"])
    assert len(record["removed_files_by_reason"]["pictures_differ"]) == 3


def test_the_commands(laboratories: tuple[Settings, Settings], saco: Saco, tmp_path: Path) -> None:
    a, b = laboratories
    page = tmp_path / "compared.html"
    cwd = b.silver.parent
    ended = saco("compare", lock.path_of(a), "--subset", "sav", "--to", page, cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    assert f"all frames shifted by -{SHIFT}" in ended.stdout
    html = page.read_text()
    # Each shifted frame with the one that fits.
    assert html.count("data:image/jpeg") == 6 and "shifted by -3" in html
    told = saco("compare", lock.path_of(a), "--json", "--subset", "sav", cwd=cwd)
    content = json.loads(told.stdout)
    assert content["version"] == 1
    assert content["subsets"]["sav"]["counts"]["shifted"] == 3
    again = saco("lock", "--json", "--to", tmp_path / "again.parquet", *SUBSETS, cwd=cwd)
    assert json.loads(again.stdout)["sha256"] == lock_file.read(lock.path_of(b)).sha256


def test_diff_names_what_is_missing_and_why(
    laboratories: tuple[Settings, Settings], saco: Saco
) -> None:
    a, b = laboratories
    cards = [card.write(each, card.make(each, SUBSETS)).parent for each in laboratories]
    registry = a.registry

    def difference(*paths: Path) -> dict[str, SubsetDiff]:
        one, other = (copies.load_any(path, registry) for path in paths)
        return diff(one, other, SUBSETS)

    of_cards = difference(*cards)["geode"]
    assert of_cards.both == 3 and of_cards.same_annotations
    ((reason, (lost,)),) = of_cards.only_b.items()
    assert reason == "not_in_archive" and (b.subset("geode").images / lost).is_file()
    of_folders = difference(a.silver, b.silver)
    assert of_folders["geode"].only_b == of_cards.only_b
    assert of_folders["geode"].only_a == of_cards.only_a
    of_locks = difference(lock.path_of(a), lock.path_of(b))
    assert {k: len(v) for k, v in of_locks["sav"].pictures.items()} == {
        "different": 3,
        "re-encoded": 3,
    }
    told = saco("diff", *cards, cwd=a.silver.parent)
    assert "B has and A lacks 1: not_in_archive 1" in told.stdout, told.stderr


def test_the_card_names_the_lock(laboratories: tuple[Settings, Settings]) -> None:
    a, _ = laboratories
    made = card.make(a, SUBSETS)
    assert made.lock_sha256 == lock_file.read(lock.path_of(a)).sha256
    assert made.lock_sha256 in json.dumps(made.as_json())
    other = lock.write(a, ["geode"], a.silver / "other.parquet", executor=InlineExecutor())
    kept = lock.path_of(a).read_bytes()
    try:
        lock.path_of(a).write_bytes(other.path.read_bytes())
        # A lock of other subsets is not that of this card.
        assert card.make(a, SUBSETS).lock_sha256 == ""
        assert card.make(a, ["geode"]).lock_sha256 == other.sha256
    finally:
        lock.path_of(a).write_bytes(kept)


def test_a_lock_with_neighbours_finds_shifts_without_videos(
    laboratories: tuple[Settings, Settings], tmp_path: Path
) -> None:
    a, b = laboratories
    large = lock.write(
        a, ["sav"], tmp_path / "large.parquet", neighbours=True, executor=InlineExecutor()
    )
    one = copies.load(large.path, SILVER)
    other = copies.load(lock.path_of(b), SILVER)
    pictures = diff(one, other, ["sav"])["sav"].pictures
    assert {k: len(v) for k, v in pictures.items()} == {"shifted": 3, "re-encoded": 3}


def test_a_lock_holds_no_address(laboratories: tuple[Settings, Settings]) -> None:
    rows = list(lock_file.read(lock.path_of(laboratories[0])).rows())
    assert {row.subset for row in rows} == set(SUBSETS)
    frames = [row for row in rows if row.subset == "sav"]
    assert all(row.video_facts["frames"] == 30 and row.pts is not None for row in frames)
    assert "http" not in repr(rows)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock.parquet"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a lock"):
        lock_file.read(path)


def test_another_table_is_refused(tmp_path: Path) -> None:
    import pandas

    path = tmp_path / "lock.parquet"
    pandas.DataFrame({"subset": ["sav"]}).to_parquet(path)
    with pytest.raises(UsageError, match="is not a lock"):
        lock_file.read(path)


def test_a_damaged_lock_is_refused(laboratories: tuple[Settings, Settings], tmp_path: Path) -> None:
    content = bytearray(lock.path_of(laboratories[0]).read_bytes())
    intact = [row.file for row in lock_file.read(lock.path_of(laboratories[0])).rows()]
    path = tmp_path / "lock.parquet"
    refused = 0
    for at in range(4, len(content), max(1, len(content) // 60)):
        spoilt = bytearray(content)
        spoilt[at] ^= 0xFF
        path.write_bytes(spoilt)
        try:
            assert [row.file for row in lock_file.read(path).rows()] == intact
        except UsageError:
            refused += 1
    # The pages have checksums; of a lock as small as this, the footer is a large part.
    assert refused >= 30
