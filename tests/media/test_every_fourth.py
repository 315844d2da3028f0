"""Every fourth frame: the files that a sequential decode and OpenCV would write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from saco_data.media import every_fourth
from saco_data.media.frames import FrameError
from tests.media import corpus
from tests.media.test_frames import plain_decode

NAMES = [
    "h264_b_frames.mp4",
    "open_gop.mp4",
    "variable_rate.mp4",
    "edit_list.mp4",
    "rotation_90.mp4",
    "odd_even_size.mp4",
    "single_frame.mp4",
    "hevc_layers.mp4",
    "av1.mp4",
    "interlaced.mp4",
    "mpeg4.avi",
    "start_pts.ts",
    "repeated_stamps.mkv",
    "truncated.mp4",
    "damaged.mp4",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@pytest.mark.parametrize("name", NAMES)
def test_files_are_those_of_a_sequential_decode(name: str, folder: Path, tmp_path: Path) -> None:
    video = corpus.make(name, folder)
    frames = plain_decode(video)
    found = every_fourth.write(video, tmp_path)
    assert found.frame_count == len(frames)
    assert found.names == tuple(f"{number:05d}.jpg" for number in range(0, len(frames), 4))
    assert sorted(path.name for path in tmp_path.iterdir()) == list(found.names)
    for each in found.names:
        rgb = frames[int(each[:5])][1]
        encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
        assert (tmp_path / each).read_bytes() == encoded.tobytes()


def test_finished_pictures_are_left_alone(folder: Path, tmp_path: Path) -> None:
    video = corpus.make("h264_b_frames.mp4", folder)
    first = every_fourth.write(video, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / first.names[3]).unlink()
    assert every_fourth.write(video, tmp_path) == first
    again = {path for path in tmp_path.iterdir() if path.stat().st_mtime_ns != before[path]}
    assert again == {tmp_path / first.names[3]}


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"no video at all")
    with pytest.raises(FrameError):
        every_fourth.write(tmp_path / "video.mp4", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# VmHWM: `ru_maxrss` begins with the memory of the process that started this one.
PEAK = """
import re, sys
from pathlib import Path
from saco_data.media import every_fourth
found = every_fourth.write(Path(sys.argv[1]), Path(sys.argv[2]))
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())
print(found.frame_count, int(peak[1]) // 1024)
"""


def test_memory_does_not_hold_the_video(tmp_path: Path) -> None:
    """1080p: 150 MB at most, where all frames would need 700."""
    video = corpus.write_long(tmp_path / "video.mp4", 5, rate=24, size=(1920, 1080), gop=60)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(video), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    count, peak = map(int, done.stdout.split())
    assert count == 120
    assert peak <= 150
