"""Frames: memory stays flat on long and large videos; a real video, where the data is at hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np

from saco_data.media.frames import Frame, extract
from tests.media import corpus

LIMIT = 400 * 1024  # kilobytes
PEAK = """
import sys
from pathlib import Path
from saco_data.media.frames import Frame, extract
got = list(map(type, extract(Path(sys.argv[1]), map(int, sys.argv[2:]))))
assert got == [Frame] * len(sys.argv[2:]), got
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


def peak(path: Path, wanted: list[int]) -> int:
    """Peak memory in kilobytes of a fresh process that extracts the wanted frames."""
    command = [sys.executable, "-c", PEAK, str(path), *map(str, wanted)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_two_hour_video_keeps_memory_flat(tmp_path: Path) -> None:
    path = corpus.write_long(tmp_path / "long.mp4", 7200, rate=25, size=(64, 48), gop=250)
    assert peak(path, [0, 90_000, 179_999]) < LIMIT


def test_a_two_hour_transport_stream_keeps_memory_flat(tmp_path: Path) -> None:
    # No index: all 36,000 frames are decoded.
    path = corpus.write_long(tmp_path / "long.ts", 7200, rate=5, size=(32, 32), gop=50)
    assert peak(path, [0, 35_000]) < LIMIT


def test_4k_video_keeps_memory_flat(tmp_path: Path) -> None:
    path = corpus.write_long(tmp_path / "4k.mp4", 2, rate=10, size=(3840, 2160), gop=4)
    assert peak(path, list(range(20))) < LIMIT


def test_a_real_video_is_exact(shared_data: Path) -> None:
    path = shared_data / "bedroom.mp4"
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        expected = [
            (frame.pts, frame.to_ndarray(format="bgr24", interpolation="BICUBIC")[..., ::-1])
            for frame in container.decode(video=0)
        ]
    assert len(expected) == 200
    # All 200, spread over runs that leave out what lies between.
    for offset in range(20):
        for got in extract(path, range(offset, 200, 20)):
            assert isinstance(got, Frame)
            assert got.way == "index"
            assert got.pts == expected[got.index][0]
            assert np.array_equal(got.rgb, expected[got.index][1])
