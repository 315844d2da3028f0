"""`saco lock --against-masks`: masks held against the frames around theirs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from saco_data.config.settings import Settings
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.report import page
from saco_data.share import against_masks, card, edges
from saco_data.share.against_masks import Annotated, Found
from tests.conftest import Saco
from tests.helpers.executor import InlineExecutor
from tests.helpers.miniatures import Raw, prepare_miniature
from tests.helpers.rle import encode

WIDTH, HEIGHT, FRAMES = 320, 180, 50
SHIFT = 3
Mask = NDArray[np.bool_]


def make_video(path: Path, speed: float, skipped: int = 0) -> Path:
    """A bright disk with a pattern that moves to the right; its first frames are left out."""
    rng = np.random.default_rng(1)
    ground = rng.integers(40, 110, (HEIGHT // 10, WIDTH // 10)).astype(np.uint8)
    ground = np.kron(ground, np.ones((10, 10), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "24", "threads": "1"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in range(skipped, FRAMES + skipped):
            picture = ground.copy()
            picture[disk(n, speed)] += 90
            frame = av.VideoFrame.from_ndarray(np.stack([picture] * 3, axis=-1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def disk(frame: int, speed: float) -> Mask:
    y, x = np.indices((HEIGHT, WIDTH))
    is_inside: Mask = (x - 70 - speed * frame) ** 2 + (y - 90) ** 2 < 40**2
    return is_inside


def annotate(numbers: tuple[int, ...], speed: float) -> list[Annotated]:
    return [Annotated(n, WIDTH, HEIGHT, [encode(disk(n, speed))]) for n in numbers]


@pytest.mark.parametrize(("skipped", "speed", "said"), [(0, 3, 0), (SHIFT, 3, -SHIFT), (1, 3, 0)])
def test_a_shift_is_seen(tmp_path: Path, skipped: int, speed: float, said: int) -> None:
    video = make_video(tmp_path / "video.mp4", speed, skipped)
    assert against_masks.look_at(video, annotate((10, 20, 30), speed)) == said


def test_nothing_is_said_of_a_still_scene(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 0, SHIFT)
    assert against_masks.look_at(video, annotate((10, 20, 30), 0)) == 0


def test_two_frames_are_too_few(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 3, SHIFT)
    assert against_masks.look_at(video, annotate((10, 20), 3)) is None
    # A frame so near to the end has too few others around it, an empty one no contour.
    assert against_masks.look_at(video, annotate((10, 20, FRAMES - 2), 3)) is None
    empty = Annotated(30, WIDTH, HEIGHT, [])
    assert against_masks.look_at(video, [*annotate((10, 20), 3), empty]) is None


def test_damaged_masks_and_videos_say_nothing(tmp_path: Path) -> None:
    damaged = [Annotated(n, WIDTH, HEIGHT, [{"size": [2, 2], "counts": "?"}]) for n in (10, 20, 30)]
    assert against_masks.look_at(make_video(tmp_path / "video.mp4", 3), damaged) is None
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    assert against_masks.look_at(tmp_path / "bad.mp4", annotate((10, 20, 30), 3)) is None


def fits_of(best: int, brightness: NDArray[np.float64]) -> list[edges.Fit]:
    """Three products whose contour fits the frame `best` later, and others badly."""
    rng = np.random.default_rng(2)
    scores = rng.uniform(0.3, 0.6, (11, 200)).astype(np.float32)
    scores[edges.REACH + best] += 0.3
    return [edges.Fit(scores, brightness, 200)] * 3


def test_no_verdict_where_something_flashes() -> None:
    steady = np.full(11, 100.0)
    assert edges.judge(fits_of(4, steady)) == 4
    flash = steady.copy()
    flash[8] = 140
    assert edges.judge(fits_of(4, flash)) is None


def test_no_verdict_where_products_disagree() -> None:
    steady = np.full(11, 100.0)
    mixed = [fits_of(4, steady)[0], fits_of(0, steady)[0], fits_of(-4, steady)[0]]
    assert edges.judge(mixed) is None


def test_the_same_thing_under_two_phrases_counts_once() -> None:
    mask = disk(0, 0)
    assert edges.find_contour([mask, mask]).length == edges.find_contour([mask]).length


def shift_first(raw: dict[str, Raw]) -> None:
    """The first video lacks its first frames, and stays as long as it was."""
    first = min(raw["sav"])
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(raw["sav"][first]), "r") as source,
        av.open(buffer, "w", format="mp4") as target,
    ):
        stream = target.add_stream("libx264", rate=6, options={"crf": "24", "threads": "1"})
        assert isinstance(stream, VideoStream)
        size = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        frames = list(source.decode(video=0))[SHIFT:]
        for frame in frames + [frames[-1]] * SHIFT:
            anew = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
            target.mux(stream.encode(anew))
        target.mux(stream.encode())
    raw["sav"][first] = buffer.getvalue()


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepare_miniature(tmp_path_factory.mktemp("masks"), ("geode", "sav"), shift_first)


def test_report_and_card_say_it(laboratory: Settings, saco: Saco) -> None:
    pictures = {p: p.read_bytes() for p in laboratory.subset("sav").images.rglob("*.jpg")}
    ended = saco("lock", "--against-masks", "--json", "sav", "geode", cwd=laboratory.silver.parent)
    assert ended.returncode == 0, ended.stderr
    (found,) = json.loads(ended.stdout)["against_masks"].items()
    assert found == ("sav", {"videos": 2, "shifts": {"sav_000001.mp4": -SHIFT}})
    warning = f"1 of 2 videos looks shifted by about {SHIFT} frames against the masks"
    made = card.make(laboratory, ["sav", "geode"])
    assert warning in made.as_json()["paragraph"]
    assert made.as_json()["subsets"]["sav"]["against_masks"] == found[1]
    assert "against_masks" not in made.as_json()["subsets"]["geode"]
    assert warning in page.write(laboratory, ["sav"]).path.read_text()
    # It is a hint: no frame is dropped or changed.
    assert {p: p.read_bytes() for p in pictures} == pictures
    assert len(made.subsets["sav"].names) == len(pictures)


def test_what_was_found_holds_for_the_same_copy_only(laboratory: Settings) -> None:
    against_masks.measure(laboratory, ["sav"], executor=InlineExecutor())
    made = card.make(laboratory, ["sav"]).subsets["sav"]
    digests = made.annotation_sha256, keep_list_sha256(made.names)
    assert against_masks.known(laboratory, "sav", *digests) == made.against_masks is not None
    assert against_masks.known(laboratory, "sav", digests[0], "other") is None
    assert against_masks.known(laboratory, "geode", *digests) is None
    path = laboratory.state / against_masks.NAME
    kept = path.read_bytes()
    try:
        for content in (b"[]", b"{", b'{"format": 1, "subsets": {"sav": 3}}'):
            path.write_bytes(content)
            assert against_masks.known(laboratory, "sav", *digests) is None
    finally:
        path.write_bytes(kept)


def test_words() -> None:
    assert Found(20).in_words() == ""
    several = Found(350, {f"v{n}": k for n, k in enumerate((3, -2, 5))})
    assert several.in_words() == (
        "3 of 350 videos look shifted by about 2 to 5 frames against the masks"
    )
