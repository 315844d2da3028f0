"""Decodes only the spans of a video that hold wanted frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av.error
import numpy
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from saco_data.media.decode import packets
from saco_data.media.nal_units import Doubt
from saco_data.media.packet_index import Index

if TYPE_CHECKING:
    from saco_data.media.packet_index import Flags


@dataclass(slots=True)
class Span:
    """Packets to decode in one go for wanted frames: positions `start` to `end` in decode order."""

    start: int
    end: int
    numbers: dict[int, int] = field(default_factory=dict)  # position -> frame number


def group_into_spans(index: Index, numbers: Iterable[int]) -> Iterator[Span]:
    """The spans to decode for frame numbers, which are in rising order. Raises Doubt."""
    span: Span | None = None
    for number in numbers:
        position = int(index.order[number])
        start = index.start_for(position)
        if span is None or start > span.end + 1:
            if span is not None:
                yield span
            span = Span(start, position)
        span.end = max(span.end, position)
        span.numbers[position] = number
    if span is not None:
        yield span


def decode_span(
    container: InputContainer, stream: VideoStream, index: Index, span: Span
) -> Iterator[tuple[int, VideoFrame]]:
    """Yields (frame number, frame) of a span. Raises Doubt where the index proves to be wrong."""
    begin = int(index.pts[span.start])
    latest = numpy.maximum.accumulate(index.pts[span.start : span.end + 1])
    # pts -> frame number, and the pts at which all packets decoded before it have been output.
    wanted = {
        int(index.pts[position]): (number, int(latest[position - span.start]))
        for position, number in span.numbers.items()
    }
    here = slice(span.start, span.end + 1)
    needed = _packets_to_decode(index, span)
    expected = index.pts[here][needed & index.shown[here] & (index.pts[here] >= begin)]
    due = iter(numpy.sort(expected).tolist())
    waiting: deque[tuple[int, int, VideoFrame]] = deque()
    for frame in _decode_packets(container, stream, index, span, needed):
        if frame.pts is None:
            raise Doubt("missing time stamps")
        if frame.pts < begin:
            continue  # stored after the start but shown before it: not exact, and not wanted
        if frame.pts != next(due, None):
            raise Doubt("pictures that do not come out where the index has them")
        if frame.is_corrupt:
            # The decoder conceals damage with frames it decoded before; here it decoded fewer.
            raise Doubt("damaged pictures")
        if frame.interlaced_frame:
            raise Doubt("interlaced video")
        if frame.pts in wanted:
            waiting.append((*wanted.pop(frame.pts), frame))
        # A reference picture may be shown, and so be found damaged, after the frame that uses it.
        while waiting and waiting[0][1] <= frame.pts:
            number, _, ready = waiting.popleft()
            yield number, ready
    if next(due, None) is not None:
        raise Doubt("pictures that do not come out")
    for number, _, ready in waiting:
        yield number, ready


def _packets_to_decode(index: Index, span: Span) -> Flags:
    """Which packets of a span must be decoded: all but those that no wanted frame can need."""
    here = slice(span.start, span.end + 1)
    if index.shown[here].all():
        needed = ~index.disposable[here]
        needed[[position - span.start for position in span.numbers]] = True
        return needed
    if span.start:
        raise Doubt("an edit list in the middle")
    # Frames hidden by an edit list are not output, so damage in them is not seen: decode all.
    return numpy.ones(span.end + 1, dtype=bool)


def _decode_packets(
    container: InputContainer, stream: VideoStream, index: Index, span: Span, needed: Flags
) -> Iterator[VideoFrame]:
    for position, packet in enumerate(
        _packets_from(container, stream, index, span.start), span.start
    ):
        if packet.pts != index.pts[position] or packet.size != index.sizes[position]:
            raise Doubt("packets that differ when read again")
        if needed[position - span.start]:
            yield from _decode(stream, packet)
        if position == span.end:
            # Draining outputs the last frames without decoding the packets that follow.
            yield from _decode(stream, None)
            return


def _decode(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return stream.codec_context.decode(packet)
    except av.error.FFmpegError as error:
        raise Doubt("damaged packets") from error


def _packets_from(
    container: InputContainer, stream: VideoStream, index: Index, start: int
) -> Iterator[Packet[VideoStream]]:
    """The packets from position `start` on. Raises Doubt where no seek reaches one before it."""
    row = int(numpy.searchsorted(index.starts, start))
    for before in dict.fromkeys((start, int(index.starts[max(row - 1, 0)]), 0)):
        try:
            container.seek(int(index.pts[before]), stream=stream)
        except av.error.FFmpegError:
            continue
        following = packets(container, stream)
        for packet in following:
            position = index.position_of(packet)
            if position is None or position > start:
                break
            if position == start:
                yield packet
                yield from following
                return
    raise Doubt("seeks that land elsewhere")
