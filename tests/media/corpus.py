"""Small videos of every awkward kind, made with PyAV alone; each is named for what it tries.

`make(name, folder)` writes one and returns its path. The pictures move, so no two frames of a
video are alike. `INTACT` are those where OpenCV, reading from the start, gets every frame right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

CLOSED = "keyint=24:min-keyint=24:scenecut=0:bframes=3:b-pyramid=2:b-adapt=0"
HEVC = "log-level=none:keyint=20:min-keyint=20:scenecut=0:bframes=4:b-adapt=0"
VP9 = {"deadline": "good", "cpu-used": "8", "g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}


def picture(number: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """uint8 [height, width, 3]: moving slopes, and a bar whose place is the frame number."""
    y, x = np.mgrid[:height, :width]
    n = number + 31 * seed
    red = x * 3 + n * 7
    green = y * 4 + n * 3 + (x * y >> 5)
    blue = 128 + 100 * np.sin((x + 2 * n) / 9) * np.cos((y - n) / 7)
    rgb = np.stack([red % 256, green % 256, blue], axis=-1).astype(np.uint8)
    rgb[: height // 6, (n * 5) % width :][:, :6] = 255 * (n % 2)
    return rgb


def calm_picture(number: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """uint8 [height, width, 3]: slow waves without any edge, which take next to no bits."""
    y, x = np.mgrid[:height, :width]
    wave = 128 + 60 * np.sin((x + 3 * number) / 40) * np.cos((y - 2 * number) / 50 + seed)
    return np.stack([wave, wave[::-1], 255 - wave], axis=-1).astype(np.uint8)


@dataclass(frozen=True)
class Video:
    """How to encode: `pts` in units of `time_base`, `context` are attributes of the encoder."""

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: {"x264-params": CLOSED})
    frames: int = 60
    size: tuple[int, int] = (96, 64)
    pixels: str = "yuv420p"
    rate: int = 25
    time_base: Fraction | None = None
    pts: Callable[[int], int] = int
    context: dict[str, Any] = field(default_factory=dict)
    rotation: int = 0
    muxer: dict[str, str] = field(default_factory=dict)
    audio: bool = False
    streams: int = 1
    draw: Callable[[int, int, int, int], np.ndarray] = picture

    def write(self, path: Path) -> None:
        """Encodes and muxes the whole video."""
        with av.open(str(path), "w", options=self.muxer) as container:
            sound = _sound(container) if self.audio else []
            streams = [self._stream(container) for _ in range(self.streams)]
            container.mux(sound)
            for number in range(self.frames):
                for seed, stream in enumerate(streams):
                    rgb = self.draw(number, *self.size, seed)
                    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                    frame.pts = self.pts(number)
                    frame.time_base = self.time_base or Fraction(1, self.rate)
                    container.mux(stream.encode(frame))
            for stream in streams:
                container.mux(stream.encode(None))

    def _stream(self, container: Any) -> Any:
        stream = container.add_stream(self.codec, rate=self.rate, options=self.options)
        stream.width, stream.height = self.size
        stream.pix_fmt = self.pixels
        if self.time_base is not None:
            stream.codec_context.time_base = self.time_base
        for name, value in self.context.items():
            setattr(stream.codec_context, name, value)
        if self.rotation:
            stream.set_display_rotation(self.rotation)
        return stream


def _sound(container: Any) -> list[Any]:
    """Half a second of noise, muxed before the pictures."""
    stream = container.add_stream("aac", rate=16000, layout="mono")
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
    frame.sample_rate = 16000
    return [*stream.encode(frame), *stream.encode(None)]


def _uneven(number: int) -> int:
    return number * 40 + (number * number * 7) % 33


def _x264(params: str, **more: str) -> dict[str, str]:
    return {"x264-params": params, **more}


OPEN = CLOSED + ":open-gop=1"

VIDEOS: dict[str, Video] = {
    "h264_b_frames.mp4": Video(),
    "h264_b_frames.mkv": Video(),
    "open_gop.mp4": Video(options=_x264(OPEN)),
    "gop_250.mp4": Video(
        options=_x264("keyint=250:scenecut=0:bframes=3:b-pyramid=2"), frames=260, size=(64, 48)
    ),
    "no_b_frames.mp4": Video(options=_x264("keyint=15:bframes=0")),
    "slices.mp4": Video(options=_x264(CLOSED + ":slices=4")),
    "intra_refresh.mp4": Video(options=_x264("keyint=20:intra-refresh=1:bframes=0")),
    "interlaced.mp4": Video(options=_x264(CLOSED + ":tff=1")),
    "all_intra.mp4": Video(options=_x264("keyint=1"), frames=20),
    "repeated_headers.mp4": Video(options=_x264(CLOSED + ":repeat-headers=1")),
    "variable_rate.mp4": Video(time_base=Fraction(1, 1000), pts=_uneven),
    "variable_rate.mkv": Video(time_base=Fraction(1, 1000), pts=_uneven),
    "edit_list.mp4": Video(
        pts=lambda n: n - 7, muxer={"use_editlist": "1", "avoid_negative_ts": "disabled"}
    ),
    "start_pts.mp4": Video(pts=lambda n: n + 50),
    "start_pts.ts": Video(pts=lambda n: n + 50),
    "rotation_90.mp4": Video(frames=12, rotation=90),
    "rotation_180.mp4": Video(frames=12, rotation=180),
    "rotation_270.mp4": Video(frames=12, rotation=270),
    "rotation_30.mp4": Video(frames=12, rotation=30),
    "full_range.mp4": Video(frames=30, pixels="yuvj420p"),
    "bt709.mp4": Video(frames=30, context={"colorspace": 1}),
    "vp9.webm": Video("libvpx-vp9", VP9),
    "vp9_odd.webm": Video("libvpx-vp9", VP9, frames=30, size=(64, 49)),
    "hevc.mp4": Video("libx265", {"x265-params": HEVC + ":open-gop=0"}),
    "hevc.mkv": Video("libx265", {"x265-params": HEVC + ":open-gop=0"}),
    "hevc_open_gop.mp4": Video("libx265", {"x265-params": HEVC + ":open-gop=1"}),
    "hevc_layers.mp4": Video("libx265", {"x265-params": HEVC + ":temporal-layers=3"}),
    "hevc_10_bit.mp4": Video("libx265", {"x265-params": HEVC}, frames=30, pixels="yuv420p10le"),
    "fps_6.mp4": Video(rate=6, frames=30),
    "odd_size.mp4": Video(frames=30, size=(67, 51), pixels="yuv444p"),
    "odd_even_size.mp4": Video(frames=30, size=(50, 34)),
    "single_frame.mp4": Video(frames=1),
    "audio_first.mp4": Video(audio=True),
    "two_streams.mp4": Video(streams=2, frames=40),
    "no_count.mp4": Video(muxer={"movflags": "frag_keyframe+empty_moov"}),
    "no_count.webm": Video("libvpx-vp9", VP9, muxer={"live": "1"}),
    "repeated_stamps.mkv": Video(time_base=Fraction(1, 3000), rate=3000, frames=40),
    "mpeg4.avi": Video("mpeg4", {"bf": "2", "g": "12"}),
    "vp9_calm.webm": Video(
        "libvpx-vp9", VP9 | {"crf": "50", "b": "0"}, frames=24, size=(640, 368), draw=calm_picture
    ),
    "av1.mp4": Video("libsvtav1", {"preset": "12", "g": "16"}, frames=30),
}

# Damaged copies: the share of the file that stays, or where and how much noise is written.
CUT = {
    "truncated.mp4": ("faststart.mp4", 0.6),
    "truncated.mkv": ("h264_b_frames.mkv", 0.6),
    "truncated.ts": ("start_pts.ts", 0.6),
    "truncated.webm": ("vp9.webm", 0.7),
}
NOISE = {
    "damaged.mp4": ("h264_b_frames.mp4", 0.5, 900),
    "damaged_little.mp4": ("h264_b_frames.mp4", 0.45, 12),
    "damaged.mkv": ("h264_b_frames.mkv", 0.5, 300),
    "damaged.ts": ("start_pts.ts", 0.5, 500),
    "damaged_hevc.mp4": ("hevc.mp4", 0.5, 200),
    "damaged_vp9.webm": ("vp9.webm", 0.5, 40),
    "damaged_av1.mp4": ("av1.mp4", 0.5, 40),
}
FASTSTART = Video(muxer={"movflags": "faststart"})

NAMES = [*VIDEOS, "edit_in_the_middle.mp4", "unknown_depth.mp4", *CUT, *NOISE]
NOT_FOR_OPENCV = {"interlaced.mp4", "av1.mp4", "edit_list.mp4"}
INTACT = [name for name in VIDEOS if name not in NOT_FOR_OPENCV]


@cache
def make(name: str, folder: Path) -> Path:
    """Writes the named video into `folder`, once, and returns its path."""
    path = folder / name
    if name in CUT:
        source, share = CUT[name]
        data = make(source, folder).read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
    elif name in NOISE:
        source, share, length = NOISE[name]
        data = make(source, folder).read_bytes()
        path.write_bytes(noisy(data, int(len(data) * share), length))
    elif name == "edit_in_the_middle.mp4":
        path.write_bytes(_edited(make("h264_b_frames.mp4", folder).read_bytes()))
    elif name == "unknown_depth.mp4":
        path.write_bytes(_without_depth(make("h264_b_frames.mp4", folder).read_bytes()))
    else:
        (FASTSTART if name == "faststart.mp4" else VIDEOS[name]).write(path)
    return path


def noisy(data: bytes, begin: int, length: int) -> bytes:
    """`data` with `length` random bytes from `begin` on."""
    noise = np.random.default_rng(begin).bytes(length)
    return data[:begin] + noise + data[begin + length :]


def _edited(data: bytes) -> bytes:
    """The edit list made to begin 15 frames in and to last 30: neither end is a key frame."""
    place = data.index(b"elst")
    header = place + 4 + 8  # version, flags, count; then duration, media time, rate
    scale = data.index(b"mdhd") + 4 + 12
    per_frame = int.from_bytes(data[scale : scale + 4], "big") // 25
    movie = data.index(b"mvhd") + 4 + 12
    duration = int.from_bytes(data[movie : movie + 4], "big") * 30 // 25
    start = int.from_bytes(data[header + 4 : header + 8], "big") + 15 * per_frame
    edit = duration.to_bytes(4, "big") + start.to_bytes(4, "big")
    return data[:header] + edit + data[header + 8 :]


def _without_depth(data: bytes) -> bytes:
    """The parameter set in the file's header cut where it says how deep pictures are reordered."""
    begin = data.index(b"avcC") + 4 + 8
    length = int.from_bytes(data[begin - 2 : begin], "big")
    bits = "".join(f"{byte:08b}" for byte in data[begin : begin + length])
    # A flag, what it announces (1, 0, 0, 8, 8, depth 2, 4 pictures; Exp-Golomb), and the stop bit.
    restriction = "1" + "1" + "1" + "1" + "0001001" + "0001001" + "011" + "00101" + "1"
    at = bits.rindex(restriction)
    assert not bits[at + len(restriction) :].strip("0")
    bits = f"{bits[:at]}01".ljust(8 * length, "0")
    return data[:begin] + int(bits, 2).to_bytes(length, "big") + data[begin + length :]


def write_long(path: Path, seconds: int, *, rate: int, size: tuple[int, int], gop: int) -> Path:
    """A long video made quickly: one GOP is encoded once and muxed again and again."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "x264-params": f"keyint={gop}:scenecut=0:bframes=2"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        packets: list[av.Packet[av.VideoStream]] = []
        for number in range(gop):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        once = [(bytes(each), each.pts or 0, each.dts or 0, each.is_keyframe) for each in packets]
        for turn in range(seconds * rate // gop):
            container.mux(list(_again(once, stream, turn * gop, Fraction(1, rate))))
    return path


def _again(
    once: Iterable[tuple[bytes, int, int, bool]], stream: Any, shift: int, time_base: Fraction
) -> Iterator[av.Packet[Any]]:
    for data, pts, dts, key in once:
        packet = av.Packet(data)
        packet.pts, packet.dts, packet.time_base = pts + shift, dts + shift, time_base
        packet.stream, packet.is_keyframe = stream, key
        yield packet
