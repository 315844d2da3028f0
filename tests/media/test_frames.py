"""Frames: every index of every awkward video equals a plain sequential decode, or is refused."""

from __future__ import annotations

import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from saco_data.media.decode import open_video
from saco_data.media.frames import Frame, FrameError, FrameFailure, extract, probe, versions
from saco_data.media.packet_index import open_for_index
from saco_data.model.reasons import Reason
from tests.media import corpus

TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, -180: cv2.ROTATE_180, -90: cv2.ROTATE_90_CLOCKWISE}
# Videos whose index must not be trusted, and why. All others must be decoded by index.
SEQUENTIAL = {
    "interlaced.mp4": "interlaced",
    "start_pts.ts": "mpegts",
    "truncated.ts": "mpegts",
    "damaged.ts": "mpegts",
    "mpeg4.avi": "avi",
    "av1.mp4": "not indexed",
    "vp9.webm": "not indexed",
    "vp9_odd.webm": "not indexed",
    "vp9_calm.webm": "not indexed",
    "no_count.webm": "not indexed",
    "damaged_vp9.webm": "not indexed",
    "damaged_av1.mp4": "not indexed",
    "repeated_stamps.mkv": "do not rise",
    "damaged.mp4": "damaged",
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@cache
def plain_decode(path: Path) -> list[tuple[int | None, np.ndarray]]:
    """(pts, RGB) of all frames: the definition, written again without the code under test."""
    frames = []
    with av.open(str(path), metadata_errors="replace") as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            return []
        stream.thread_count = 1
        try:
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except av.error.InvalidDataError:
                    continue
                frames += [(frame.pts, _rgb(frame)) for frame in decoded]
        except av.error.InvalidDataError:
            pass
    return frames


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    bgr: Any = frame.to_ndarray(format="bgr24", interpolation=Interpolation.BICUBIC)
    if frame.rotation in TURNS:
        bgr = cv2.rotate(bgr, TURNS[frame.rotation])
    rgb: np.ndarray = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def assert_exact(path: Path, wanted: list[int]) -> list[str]:
    """How each wanted frame was reached; fails where one differs from the plain decode."""
    expected = plain_decode(path)
    got = list(extract(path, wanted))
    assert [each.index for each in got] == sorted(set(wanted))
    ways = []
    for each in got:
        if each.index >= len(expected):
            assert isinstance(each, FrameFailure)
            assert each.reason is Reason.FRAME_BEYOND_END
            assert str(len(expected)) in each.detail
            continue
        assert isinstance(each, Frame), each
        pts, rgb = expected[each.index]
        assert each.pts == pts
        assert each.rgb.dtype == np.uint8 and each.rgb.flags.c_contiguous
        assert np.array_equal(each.rgb, rgb), f"frame {each.index} differs ({each.way})"
        ways.append(each.way)
    return ways


@pytest.mark.parametrize("name", corpus.NAMES)
def test_each_index_is_exact_and_those_beyond_the_end_are_refused(name: str, folder: Path) -> None:
    path = corpus.make(name, folder)
    count = len(plain_decode(path))
    assert count
    ways = [way for number in range(count + 2) for way in assert_exact(path, [number])]
    if name in SEQUENTIAL:
        assert any(SEQUENTIAL[name] in way for way in ways), ways
    elif name not in corpus.CUT and name not in corpus.NOISE:
        assert set(ways) == {"index"}


@pytest.mark.parametrize("name", corpus.NAMES)
def test_many_indices_at_once_are_exact(name: str, folder: Path) -> None:
    path = corpus.make(name, folder)
    count = len(plain_decode(path))
    assert_exact(path, list(range(count + 3)))
    for step, offset in ((2, 1), (3, 2), (7, 3), (13, 5), (29, 0)):
        assert_exact(path, list(range(offset, count, step)))
    assert_exact(path, [count + 10, count - 1, 0, 10**12])


# Files that name a colour space.
TAGGED = {"bt709.mp4", "hevc_10_bit.mp4"}


@pytest.mark.parametrize("name", corpus.INTACT)
def test_pixels_equal_opencvs(name: str, folder: Path) -> None:
    if name in TAGGED and tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 13):
        pytest.skip("OpenCV before 4.13 ignores the colour space that the file names")
    path = corpus.make(name, folder)
    capture = cv2.VideoCapture(str(path))
    count = 0
    for each in extract(path, range(len(plain_decode(path)))):
        assert isinstance(each, Frame)
        read, bgr = capture.read()
        assert read
        assert np.array_equal(each.rgb, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)), each.index
        count += 1
    assert not capture.read()[0]
    assert count


def test_the_first_video_stream_counts(folder: Path) -> None:
    got = next(extract(corpus.make("two_streams.mp4", folder), [5]))
    assert isinstance(got, Frame)
    distance = [
        np.abs(corpus.picture(5, 96, 64, seed).astype(int) - got.rgb).mean() for seed in (0, 1)
    ]
    assert distance[0] < 12 < distance[1]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_is_applied(turn: int, folder: Path) -> None:
    got = next(extract(corpus.make(f"rotation_{turn}.mp4", folder), [3]))
    assert isinstance(got, Frame)
    upright = np.rot90(corpus.picture(3, 96, 64), turn // 90).astype(int)
    assert got.rgb.shape == upright.shape
    assert np.abs(upright - got.rgb).mean() < 12


def test_frames_that_the_edit_list_hides_are_not_counted(folder: Path) -> None:
    path = corpus.make("edit_in_the_middle.mp4", folder)
    assert len(plain_decode(path)) == 30
    got = next(extract(path, [0]))
    assert isinstance(got, Frame)
    assert np.abs(corpus.picture(15, 96, 64).astype(int) - got.rgb).mean() < 12


def test_time_is_in_seconds(folder: Path) -> None:
    got = next(extract(corpus.make("start_pts.mp4", folder), [10]))
    assert isinstance(got, Frame)
    assert got.seconds == pytest.approx((50 + 10) / 25)


def test_only_the_end_of_a_truncated_file_is_lost(folder: Path) -> None:
    path = corpus.make("truncated.mp4", folder)
    count = len(plain_decode(path))
    assert 24 < count < 60
    assert assert_exact(path, [3]) == ["index"]
    got = list(extract(path, range(60)))
    assert [isinstance(each, Frame) for each in got] == [number < count for number in range(60)]


def test_an_index_below_zero_is_refused(folder: Path) -> None:
    got = list(extract(corpus.make("h264_b_frames.mp4", folder), [-1, 0]))
    assert isinstance(got[0], FrameFailure)
    assert isinstance(got[1], Frame)


def test_without_wanted_frames_the_file_is_not_opened(tmp_path: Path) -> None:
    assert list(extract(tmp_path / "absent.mp4", [])) == []


@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_random_damage_yields_what_a_fresh_decode_yields(
    seed: int, folder: Path, tmp_path: Path
) -> None:
    names = ["h264_b_frames.mp4", "edit_list.mp4", "hevc.mp4", "h264_b_frames.mkv", "open_gop.mp4"]
    source = corpus.make(names[seed % len(names)], folder)
    rng = np.random.default_rng(seed)
    data = source.read_bytes()
    for _ in range(rng.integers(1, 4)):
        data = corpus.noisy(
            data, int(rng.integers(len(data) // 10, len(data))), int(rng.integers(1, 60))
        )
    path = tmp_path / source.name
    path.write_bytes(data[: source.stat().st_size])
    try:
        count = len(plain_decode(path))
    except av.error.FFmpegError:
        count = 0
    if not count:
        with pytest.raises(FrameError):
            list(extract(path, [0]))
        return
    for number in {0, *rng.integers(0, count, 5).tolist()}:
        assert_exact(path, [number])
    assert_exact(path, sorted({*rng.integers(0, count, 6).tolist(), count}))


# Most damage in such files makes the decoder drop a frame.
@pytest.mark.parametrize("name", ["vp9_calm.webm", "av1.mp4"])
def test_frames_keep_their_numbers_where_the_decoder_drops_damaged_ones(
    name: str, folder: Path, tmp_path: Path
) -> None:
    data = corpus.make(name, folder).read_bytes()
    dropped = 0
    for seed in range(12):
        begin = int(np.random.default_rng(seed).integers(len(data) // 5, len(data) // 2))
        path = tmp_path / f"{seed}_{name}"
        path.write_bytes(corpus.noisy(data, begin, 20))
        count = len(plain_decode(path))
        # No header shows it: each packet is there, but not each picture.
        dropped += count < probe(path)["frames"]
        assert_exact(path, [0, count // 2, count - 1, count])
    assert dropped


HOSTILE = {
    "empty": b"",
    "page": b"<!DOCTYPE html><html><body>Sign in</body></html>" * 100,
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile secret.mp4\n",
    "noise": bytes(np.random.default_rng(3).bytes(5000)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_other_files_are_corrupt_videos(kind: str, folder: Path, tmp_path: Path) -> None:
    # A playlist must not make us read another file, even one that is a good video.
    (tmp_path / "secret.mp4").write_bytes(corpus.make("fps_6.mp4", folder).read_bytes())
    path = tmp_path / "a.mp4"
    path.write_bytes(HOSTILE[kind])
    for act in (lambda: list(extract(path, [0])), lambda: probe(path)):
        with pytest.raises(FrameError) as caught:
            act()
        assert caught.value.reason is Reason.CORRUPT_VIDEO
        assert "a.mp4" in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def test_a_file_with_only_sound_is_not_media(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        container.mux(corpus._sound(container))
    with pytest.raises(FrameError) as caught:
        list(extract(path, [0]))
    assert caught.value.reason is Reason.NOT_MEDIA


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(extract(tmp_path / "absent.mp4", [0]))


def test_colons_in_names_are_not_protocols(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("http:18:50:36?x.mp4")
    path.write_bytes(corpus.make("fps_6.mp4", folder).read_bytes())
    assert isinstance(next(extract(path, [29])), Frame)


def test_probe_is_a_fingerprint(folder: Path) -> None:
    got = probe(corpus.make("fps_6.mp4", folder))
    assert (got["codec"], got["width"], got["height"]) == ("h264", 96, 64)
    assert (got["fps"], got["frames"], got["start_pts"]) == (6.0, 30, 0)
    assert got["duration"] == pytest.approx(5.0, abs=0.2)
    assert probe(corpus.make("edit_in_the_middle.mp4", folder))["frames"] == 30


@pytest.mark.parametrize("name", corpus.NAMES)
def test_a_quick_opening_finds_no_deeper_reordering(name: str, folder: Path) -> None:
    path = corpus.make(name, folder)
    with open_video(path) as (_, usual), open_for_index(path) as (_, quick):
        assert quick.codec_context.reorder_depth <= usual.codec_context.reorder_depth
        assert quick.codec_context.field_order == usual.codec_context.field_order


def test_a_quick_opening_decodes_nothing(folder: Path) -> None:
    for name, is_quick in (("h264_b_frames.mp4", True), ("no_count.mp4", False)):
        with open_for_index(corpus.make(name, folder)) as (_, stream):
            # Only the decoder knows it.
            assert (stream.codec_context.pix_fmt is None) is is_quick


@pytest.mark.parametrize("name", corpus.NAMES)
def test_the_fingerprint_that_comes_with_the_frames_is_that_of_probe(
    name: str, folder: Path
) -> None:
    path = corpus.make(name, folder)
    for number in (0, len(plain_decode(path)) - 1):
        found: dict[str, Any] = {}
        got = next(extract(path, [number], fingerprint=found))
        assert isinstance(got, Frame)
        if got.way == "index":
            assert found == probe(path)
        else:
            assert found in ({}, probe(path))


def test_versions_name_the_libraries() -> None:
    assert versions()["av"] == av.__version__
    assert {"libavcodec", "libavformat", "libswscale"} < versions().keys()


def test_memory_that_is_short_for_a_moment_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = corpus.make("bt709.mp4", folder)
    usual, failures = av.open, [av.error.MemoryError(errno.ENOMEM, "no memory", str(path))]

    def open_late(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return usual(*arguments, **options)

    monkeypatch.setattr("saco_data.media.decode.av.open", open_late)
    (frame,) = extract(path, [0])
    assert isinstance(frame, Frame) and not failures


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_what_the_system_refuses_is_no_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = corpus.make("bt709.mp4", folder)

    def refuse(*_: Any, **__: Any) -> None:
        raise av.error.OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("saco_data.media.decode.av.open", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        list(extract(path, [0]))
    assert raised.value.errno == number
