"""Takes the members that an index names out of an archive, by ranges of it.

Ranges that nearly touch are one request; several requests are under way at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from saco_data.transports.base import FileChanged, RangeReader
from saco_data.transports.seek_index.entering import WrongMember, take_out
from saco_data.transports.seek_index.rows import Row

T = TypeVar("T")
GAP = 64 << 10  # bytes between two members that are fetched rather than left out
_RANGE = 2 << 20  # bytes of one request, if it holds several members
_IN_FLIGHT = 64 << 20  # bytes that are asked for or waiting to be taken
_DOUBTS = 3  # wrong members one after the other before the index is given up


class IndexDoubted(Exception):
    """The index does not fit the archive."""


def join_ranges(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in the order of the archive, those of one request together."""
    joined: list[list[Row]] = []
    start = stop = 0
    for row in sorted(rows, key=lambda each: (each.start, each.skip)):
        end = max(stop, row.stop)
        if joined and row.start - stop <= GAP and end - start <= _RANGE:
            joined[-1].append(row)
            stop = end
        else:
            joined.append([row])
            start, stop = row.start, row.stop
    return joined


def take_members(
    reader: RangeReader,
    rows: Sequence[Row],
    deliver: Callable[[Row, bytes], T],
    *,
    connections: int,
    stop: threading.Event,
) -> Iterator[T]:
    """What `deliver` makes of each member that is right, in the order of the archive.

    `deliver` runs in threads. A member that is wrong is fetched once more, and left out if it stays
    wrong. Raises IndexDoubted where the first one or several are wrong, or the archive is another
    one by now, and the errors of the reader.
    """
    ranges = deque(join_ranges(rows))
    running: deque[tuple[int, Future[list[tuple[T] | None]]]] = deque()
    asked = right = wrong = 0
    with ThreadPoolExecutor(connections, thread_name_prefix="seek-index") as pool:
        try:
            while (ranges or running) and not stop.is_set():
                # The first range alone shows whether the index fits.
                most = 2 * connections if right else 1
                while ranges and len(running) < most and (not running or asked < _IN_FLIGHT):
                    group = ranges.popleft()
                    length = max(row.stop for row in group) - group[0].start
                    asked += length
                    running.append((length, pool.submit(_take, reader, group, deliver)))
                length, future = running.popleft()
                try:
                    found = future.result()
                except FileChanged as error:
                    raise IndexDoubted(error.what) from None
                asked -= length
                for each in found:
                    wrong = wrong + 1 if each is None else 0
                    right += each is not None
                    if wrong >= (_DOUBTS if right else 1):
                        raise IndexDoubted("what lies at its places are other members")
                    if each is not None:
                        yield each[0]
        finally:
            for _, future in running:
                future.cancel()


def _take(
    reader: RangeReader, rows: Sequence[Row], deliver: Callable[[Row, bytes], T]
) -> list[tuple[T] | None]:
    """What became of each member of one range; None for those that are wrong twice."""
    return [
        None if content is None else (deliver(row, content),)
        for row, content in zip(rows, _contents(reader, rows), strict=True)
    ]


def _contents(reader: RangeReader, rows: Sequence[Row]) -> list[bytes | None]:
    contents: list[bytes | None] = [None] * len(rows)
    for _ in range(2):
        missing = [at for at, content in enumerate(contents) if content is None]
        if not missing:
            break
        start = rows[missing[0]].start
        end = max(rows[at].stop for at in missing)
        data = memoryview(reader.read_at(start, end - start))
        for at in missing:
            row = rows[at]
            try:
                contents[at] = take_out(row, data[row.start - start : row.stop - start])
            except WrongMember:
                continue
    return contents
