"""Decoding only the stretches of a video that hold wanted frames."""

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
class Run:
    """Wanted frames that one stretch of decoding serves, from place `start` to place `end`."""

    start: int
    end: int
    numbers: dict[int, int] = field(default_factory=dict)  # place -> frame number


def runs(index: Index, numbers: Iterable[int]) -> Iterator[Run]:
    """Groups wanted frames, in rising order, by the stretch to decode. Raises Doubt."""
    run: Run | None = None
    for number in numbers:
        place = int(index.order[number])
        start = index.start_for(place)
        if run is None or start > run.end + 1:
            if run is not None:
                yield run
            run = Run(start, place)
        run.end = max(run.end, place)
        run.numbers[place] = number
    if run is not None:
        yield run


def decode_run(
    container: InputContainer, stream: VideoStream, index: Index, run: Run
) -> Iterator[tuple[int, VideoFrame]]:
    """Yields (frame number, frame); raises Doubt as soon as something is not as expected."""
    begin = int(index.pts[run.start])
    latest = numpy.maximum.accumulate(index.pts[run.start : run.end + 1])
    # pts -> frame number, and the pts by which all that was decoded before it has come out.
    wanted = {
        int(index.pts[place]): (number, int(latest[place - run.start]))
        for place, number in run.numbers.items()
    }
    here = slice(run.start, run.end + 1)
    taken = _taken(index, run)
    expected = index.pts[here][taken & index.shown[here] & (index.pts[here] >= begin)]
    due = iter(numpy.sort(expected).tolist())
    waiting: deque[tuple[int, int, VideoFrame]] = deque()
    for frame in _decoded(container, stream, index, run, taken):
        if frame.pts is None:
            raise Doubt("missing time stamps")
        if frame.pts < begin:
            continue  # stored after the start but shown before it: neither exact nor wanted
        if frame.pts != next(due, None):
            raise Doubt("pictures that do not come out where the index has them")
        if frame.is_corrupt:
            # Damage is made good from whatever the decoder has seen, which differs here.
            raise Doubt("damaged pictures")
        if frame.interlaced_frame:
            raise Doubt("interlaced video")
        if frame.pts in wanted:
            waiting.append((*wanted.pop(frame.pts), frame))
        # A picture that a frame was made from may be shown, and found damaged, after it.
        while waiting and waiting[0][1] <= frame.pts:
            number, _, ready = waiting.popleft()
            yield number, ready
    if next(due, None) is not None:
        raise Doubt("pictures that do not come out")
    for number, _, ready in waiting:
        yield number, ready


def _taken(index: Index, run: Run) -> Flags:
    """Which packets of a run are to be decoded: not those that no wanted frame can need."""
    here = slice(run.start, run.end + 1)
    if index.shown[here].all():
        taken = ~index.disposable[here]
        taken[[place - run.start for place in run.numbers]] = True
        return taken
    if run.start:
        raise Doubt("an edit list in the middle")
    # The decoder keeps hidden pictures to itself, and with them whether they are damaged.
    return numpy.ones(run.end + 1, dtype=bool)


def _decoded(
    container: InputContainer, stream: VideoStream, index: Index, run: Run, taken: Flags
) -> Iterator[VideoFrame]:
    for place, packet in enumerate(_from_start(container, stream, index, run.start), run.start):
        if packet.pts != index.pts[place] or packet.size != index.sizes[place]:
            raise Doubt("packets that differ when read again")
        if taken[place - run.start]:
            yield from _decode(stream, packet)
        if place == run.end:
            # Draining brings the last frames out without decoding what follows.
            yield from _decode(stream, None)
            return


def _decode(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return stream.codec_context.decode(packet)
    except av.error.FFmpegError as error:
        raise Doubt("damaged packets") from error


def _from_start(
    container: InputContainer, stream: VideoStream, index: Index, start: int
) -> Iterator[Packet[VideoStream]]:
    """The packets from place `start` on. Raises Doubt where no seek lands at or before it."""
    row = int(numpy.searchsorted(index.starts, start))
    for before in dict.fromkeys((start, int(index.starts[max(row - 1, 0)]), 0)):
        try:
            container.seek(int(index.pts[before]), stream=stream)
        except av.error.FFmpegError:
            continue
        following = packets(container, stream)
        for packet in following:
            place = index.place_of(packet)
            if place is None or place > start:
                break
            if place == start:
                yield packet
                yield from following
                return
    raise Doubt("seeks that land elsewhere")
