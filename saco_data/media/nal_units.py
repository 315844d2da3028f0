"""Reads the NAL unit headers of H.264 and HEVC packets, without decoding them.

A reader raises Doubt unless a packet looks like exactly one picture: damage there would change the
number of frames that a decoder outputs. VP9 and AV1 are not indexed, because their decoders drop
frames for damage that no header shows: docs/exactness.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Doubt(Exception):
    """The index of this file cannot be trusted; the text says why."""


class Unit(NamedTuple):
    """What the headers of a packet say.

    `start`: decoding may start here, and all pictures shown later are exact. `resets`: all pictures
    before it in decode order are shown before those after it. `disposable`: no other picture needs
    it. `parameters`: it carries parameter sets. `layer`: its temporal layer.
    """

    start: bool
    resets: bool
    disposable: bool
    parameters: bool
    layer: int


Reader = Callable[[bytes], Unit]


def reader_for(codec: str, extradata: bytes) -> Reader:
    """The reader for a codec by its FFmpeg name and global header. Raises Doubt for others."""
    if codec == "h264" and len(extradata) > 6 and extradata[0] == 1:
        width = (extradata[4] & 3) + 1
        return lambda data: _h264(data, width)
    if codec == "hevc" and len(extradata) > 22 and extradata[0] == 1:
        width = (extradata[21] & 3) + 1
        return lambda data: _hevc(data, width)
    raise Doubt(f"{codec} is not indexed in this form")


def _nals(data: bytes, width: int) -> list[int]:
    """The offsets at which the NAL units of a packet begin. Raises Doubt unless they fill it."""
    begins = []
    offset, end = 0, len(data)
    while offset < end:
        begin = offset + width
        offset = begin + int.from_bytes(data[offset:begin], "big")
        # The shortest unit is a header and a byte of content.
        if offset > end or offset < begin + 2:
            raise Doubt("damaged packets")
        begins.append(begin)
    return begins


def _h264(data: bytes, width: int) -> Unit:
    idr = recovery = reference = parameters = False
    pictures = 0
    for begin in _nals(data, width):
        header = data[begin]
        kind = header & 31
        if kind in (1, 5):
            pictures += data[begin + 1] >> 7  # first_mb_in_slice is 0: a picture begins
            idr |= kind == 5
            reference |= header & 0x60 != 0
        elif kind == 6:
            recovery |= _is_exact_recovery(data, begin)
        elif kind in (7, 8, 13, 15):
            parameters = True
        elif kind not in (9, 12, 14, 20):
            raise Doubt("unusual H.264 units")
        if header & 0x80:
            raise Doubt("damaged packets")
    if pictures != 1:
        raise Doubt("packets that are not one picture each")
    return Unit(idr or recovery, idr, not reference and not parameters, parameters, 0)


def _is_exact_recovery(data: bytes, begin: int) -> bool:
    """Whether an SEI unit begins with a recovery point of 0 frames that promises exact pictures."""
    return data[begin + 1] == 6 and len(data) > begin + 3 and data[begin + 3] & 0xC0 == 0xC0


def _hevc(data: bytes, width: int) -> Unit:
    start = resets = parameters = False
    reference = False
    pictures = layer = 0
    for begin in _nals(data, width):
        first, second = data[begin], data[begin + 1]
        kind = first >> 1 & 63
        if first & 0x81 or second & 0xF8 or not second & 7:
            raise Doubt("damaged packets, or layered video")
        if kind <= 9 or 16 <= kind <= 21:
            if begin + 2 >= len(data):
                raise Doubt("damaged packets")
            pictures += data[begin + 2] >> 7  # first_slice_segment_in_pic_flag
            start |= kind >= 16
            resets |= 16 <= kind <= 20
            reference |= kind >= 16 or kind % 2 == 1
            layer = (second & 7) - 1
        elif kind in (32, 33, 34):
            parameters = True
        elif kind not in (35, 38, 39, 40):
            raise Doubt("unusual HEVC units")
    if pictures != 1:
        raise Doubt("packets that are not one picture each")
    return Unit(start, resets, not reference and not parameters, parameters, layer)
