"""Opens untrusted video files and decodes them in one thread."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from saco_data.model.reasons import Reason

# Demuxers that are allowed. Others are left out because a playlist (hls, dash, concat...) can make
# FFmpeg open other files and addresses.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,h264,hevc,ivf,mpegvideo,m4v"
)
# 8192 x 8192: a small file may claim a large size and would exhaust memory.
MAX_PIXELS = 1 << 26
OPTIONS = {
    "format_whitelist": FORMATS,
    "protocol_whitelist": "file",
    "max_pixels": str(MAX_PIXELS),
    # FFmpeg decodes the first pictures to learn about the stream; it needs none of their pixels.
    "skip_loop_filter": "all",
}
# Only the first packet is read when the file is opened, and no picture is decoded.
QUICK_OPTIONS = OPTIONS | {"skip_frame": "all", "probesize": "32"}

# What the system refuses says nothing about the file. Not ENOMEM: damaged files ask for too much.
_SYSTEM_ERRORS = {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM}


class FrameError(Exception):
    """A video that cannot be decoded at all: `reason`, and `detail` with FFmpeg's message."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@contextlib.contextmanager
def open_video(
    video: Path, *, is_quick: bool = False
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open file and its first video stream, set to decode in one thread.

    `is_quick`: no picture is decoded to learn more about the stream than the container says.
    Raises FrameError (CORRUPT_VIDEO, NOT_MEDIA) or OSError.
    """
    options = QUICK_OPTIONS if is_quick else OPTIONS
    with video.open("rb"):
        pass  # raises OSError for an unreadable file, which is not a damaged video
    try:
        try:
            container = _open(video, options)
        except av.error.MemoryError:
            # The machine was short of memory, or a damaged file asks for too much, and asks again.
            container = _open(video, options)
    except av.error.FFmpegError as error:
        if error.errno in _SYSTEM_ERRORS:
            raise OSError(error.errno, os.strerror(error.errno), str(video)) from error
        raise FrameError(
            Reason.CORRUPT_VIDEO, f"{video.name}: cannot be opened as a video ({error.strerror})"
        ) from error
    with container:
        stream = next(iter(container.streams.video), None)
        if stream is None or stream.codec_context is None:
            raise FrameError(Reason.NOT_MEDIA, f"{video.name}: holds no video stream we can decode")
        # In one thread, decoding of a damaged video gives the same frames each time.
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def _open(video: Path, options: dict[str, str]) -> InputContainer:
    # "file:" because FFmpeg takes what precedes a colon in a name for a protocol.
    return av.open(f"file:{video}", options=options, metadata_errors="replace")


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to the end, or to the first that cannot be read."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        return


def decode(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """The frames that the decoder returns for a packet (None: the end); [] for a broken packet."""
    try:
        return stream.codec_context.decode(packet)
    except av.error.FFmpegError:
        return []


def sequential(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """All frames in presentation order. Frame n of this module's users is the n-th of them."""
    for packet in packets(container, stream):
        yield from decode(stream, packet)
    yield from decode(stream, None)
