"""Finds the packet of each frame without decoding, and whether that can be trusted."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av.error
import numpy
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from saco_data.media.decode import FrameError, open_video, packets
from saco_data.media.nal_units import Doubt, Unit, reader_for

if TYPE_CHECKING:
    import numpy.typing

    Numbers = numpy.typing.NDArray[numpy.int64]
    Flags = numpy.typing.NDArray[numpy.bool_]

# Containers with a reliable time stamp for each picture, unlike MPEG-TS, AVI and others.
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
CONTAINERS = {MP4, "matroska,webm"}
PROGRESSIVE = 1


@dataclass(frozen=True, slots=True)
class Index:
    """The packets of a video by their position in decode order.

    For each position: `pts`, `sizes` in bytes, `disposable` (no other picture needs this one) and
    `shown` (an edit list may hide some). `starts`: the positions where decoding may start. `order`:
    the position of each frame, by frame number. `total`: how many frames the file has; None where
    reading stopped early, because all wanted frames were found.
    """

    pts: Numbers
    sizes: Numbers
    disposable: Flags
    shown: Flags
    starts: Numbers
    order: Numbers
    total: int | None

    def start_for(self, position: int) -> int:
        """Where to start decoding so that the picture at `position` is exact. Raises Doubt."""
        row = int(numpy.searchsorted(self.starts, position, side="right")) - 1
        # Pictures stored after a start but shown before it may need those that precede it.
        while row >= 0 and self.pts[self.starts[row]] > self.pts[position]:
            row -= 1
        if row < 0:
            raise Doubt("pictures before the first start")
        return int(self.starts[row])

    def position_of(self, packet: Packet[VideoStream]) -> int | None:
        """The position of a packet that was read again; None where it is not in the index."""
        if packet.pts is None:
            return None
        found = numpy.flatnonzero((self.pts == packet.pts) & (self.sizes == packet.size))
        return int(found[0]) if len(found) else None


@contextlib.contextmanager
def open_for_index(video: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open video, quickly where the container says what `build` must know, else as usual.

    Raises FrameError and OSError, as `open_video` does.
    """
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(open_video(video, is_quick=True))
            is_enough = _says_enough(*opened)
        except FrameError:
            is_enough = False  # what the container is may show only further on
        if not is_enough:
            stack.close()
            opened = stack.enter_context(open_video(video))
        yield opened


def _says_enough(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the depth of reordering and the field order are known without decoding.

    FFmpeg derives the depth from the time stamps of an MP4 whose packets are all listed at one
    place. It may be less than what the pictures' headers allow, but never more.
    """
    context = stream.codec_context
    is_listed = container.format.name == MP4 and stream.frames > 0
    return is_listed and context.name == "h264" and context.field_order == PROGRESSIVE


def build(
    container: InputContainer, stream: VideoStream, last: int, *, count_all: bool = False
) -> Index:
    """Reads packets until frame `last` is known, or to the end. Raises Doubt.

    `count_all`: the packets that follow are counted, so that `Index.total` is known.
    """
    if container.format.name not in CONTAINERS:
        raise Doubt(f"{container.format.name} has no reliable index")
    if stream.codec_context.field_order > PROGRESSIVE:
        raise Doubt("interlaced video")
    builder = _Builder(stream)
    reading = packets(container, stream)
    for packet in reading:
        if not builder.add(packet, last):
            later = count_shown(chain([packet], reading)) if count_all else 0
            return builder.index(builder.count + later if count_all else None)
    return builder.index(builder.count)


def count_shown(reading: Iterable[Packet[VideoStream]]) -> int:
    """How many packets are to be shown: an edit list may hide some."""
    return sum(not packet.is_discard for packet in reading)


class _Builder:
    """Collects packets; raises Doubt for what makes frame numbers uncertain."""

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self.look = reader_for(context.name, context.extradata or b"")
        self.reorder = context.reorder_depth
        self.check = _OrderCheck(stream)
        self.pts, self.sizes, self.starts = array("q"), array("q"), array("q")
        self.disposable, self.shown = bytearray(), bytearray()
        self.previous: int | None = None
        self.rising = True  # each pts is at or after its dts: reading may stop early
        self.count = 0  # of those shown
        self.layers = 0
        self.with_parameters = 0

    def add(self, packet: Packet[VideoStream], last: int) -> bool:
        """Adds a packet; False, and it is not added, where frame `last` is known before it."""
        if packet.is_corrupt:
            raise Doubt("damaged packets")
        pts, dts = packet.pts, packet.dts
        if pts is None:
            raise Doubt("missing time stamps")
        unit = self.look(bytes(packet))
        self._check_dts(pts, dts)
        if unit.start:
            if self.rising and dts is not None and self._is_known(dts, last):
                return False
            if self.pts and packet.has_sidedata("new_extradata"):
                raise Doubt("parameter sets that change")
            self.starts.append(len(self.pts))
            self.with_parameters += unit.parameters
        elif unit.parameters:
            raise Doubt("parameter sets between the starts")
        self.layers = max(self.layers, unit.layer)
        self.pts.append(pts)
        self.sizes.append(packet.size)
        self.shown.append(not packet.is_discard)
        self.count += not packet.is_discard
        self.disposable.append(unit.disposable)
        self.check.add(packet, unit, pts)
        return True

    def _check_dts(self, pts: int, dts: int | None) -> None:
        if dts is None:
            self.rising = False
            return
        if self.previous is not None and dts <= self.previous:
            raise Doubt("decode times that do not rise")
        self.rising &= pts >= dts
        self.previous = dts

    def _is_known(self, dts: int, last: int) -> bool:
        """Whether frame `last` is known: all later packets are shown at `dts` or after it."""
        if self.count <= last:
            return False
        earlier = numpy.array(self.pts) < dts
        return int(numpy.count_nonzero(earlier & numpy.array(self.shown, dtype=bool))) > last

    def index(self, total: int | None) -> Index:
        """The index, after the checks that need all packets."""
        if not len(self.starts) or self.starts[0] != 0:
            raise Doubt("no clean start")
        if self.with_parameters not in (0, len(self.starts)):
            raise Doubt("parameter sets at some starts only")
        self.check.finish()
        pts = numpy.array(self.pts)
        by_time = numpy.argsort(pts, kind="stable")
        if not numpy.all(numpy.diff(pts[by_time]) > 0):
            raise Doubt("repeated time stamps")
        if by_time[0] != 0:
            raise Doubt("pictures before the first start")
        rank = numpy.empty_like(by_time)
        rank[by_time] = numpy.arange(len(pts))
        if int((numpy.arange(len(pts)) - rank).max()) > self.reorder:
            # The decoder only notices while decoding, and drops frames before that.
            raise Doubt("deeper reordering than the header says")
        shown = numpy.array(self.shown, dtype=bool)
        return Index(
            pts=pts,
            sizes=numpy.array(self.sizes),
            # With temporal layers a picture may be needed by one of a higher layer.
            disposable=numpy.array(self.disposable, dtype=bool) & (self.layers == 0),
            shown=shown,
            starts=numpy.array(self.starts),
            order=by_time[shown[by_time]],
            total=total,
        )


class _OrderCheck:
    """Checks that the container's time stamps order pictures as their own headers do.

    The decoder follows the headers. FFmpeg's dts2pts filter parses them (it fails for damaged ones)
    and derives the display order from the picture order count; one filter for each sequence.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.stream = stream
        self.filter: BitStreamFilterContext | None = None
        self.given = array("q")
        self.derived: list[int | None] = []
        self.shown_before: int | None = None

    def add(self, packet: Packet[VideoStream], unit: Unit, pts: int) -> None:
        """Adds a packet; the filter consumes its bytes."""
        if unit.resets:
            self.finish()
        if self.filter is None:
            self.filter = BitStreamFilterContext("dts2pts", self.stream)
        self.given.append(pts)
        self.derived += _filter(self.filter, packet)

    def finish(self) -> None:
        """Ends a sequence and compares the two orders. Raises Doubt."""
        if self.filter is None:
            return
        self.derived += _filter(self.filter, None)
        self.filter = None
        given, derived = self.given, self.derived
        self.given, self.derived = array("q"), []
        if len(derived) != len(given) or None in derived:
            raise Doubt("pictures without an order of their own")
        order = numpy.argsort(given, kind="stable")
        if not numpy.array_equal(order, numpy.argsort(numpy.array(derived), kind="stable")):
            raise Doubt("time stamps against the pictures' own order")
        if self.shown_before is not None and given[order[0]] <= self.shown_before:
            raise Doubt("time stamps against the pictures' own order")
        self.shown_before = given[order[-1]]


def _filter(bsf: BitStreamFilterContext, packet: Packet[VideoStream] | None) -> list[int | None]:
    try:
        return [out.pts for out in bsf.filter(packet)]
    except av.error.FFmpegError as error:
        raise Doubt("damaged picture headers") from error
