"""Whether compressed RLEs fill their masks: pycocotools never returns from an IoU if one does not.

Equal totals are not enough: two damaged characters can make one run negative and another longer by
the same amount, and pycocotools reads a negative run as one of four thousand million pixels. So the
runs themselves are decoded here, many masks at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BATCH = 1 << 16  # characters that are decoded together: they stay in the processor's cache
_MOST_DIGITS = 8  # of five bits
_LONGEST = 1 << 30  # pixels; no run of any picture is longer

OK, CHARACTERS, CUT, NEGATIVE, FILL = range(5)
WORDS = {
    CHARACTERS: "its RLE holds characters that RLE does not use",
    CUT: "its RLE ends in the middle of a run",
    NEGATIVE: "its RLE has a run of negative length",
    FILL: "the runs of its RLE do not add up to height x width",
}


def check(counts: Sequence[str], pixels: Sequence[int]) -> NDArray[np.uint8]:
    """What is wrong with each RLE: OK, CHARACTERS, CUT, NEGATIVE or FILL.

    `counts`: compressed run lengths as COCO writes them; `pixels`: height x width of each. An
    empty string is an empty mask, as for pycocotools.
    """
    verdicts = np.zeros(len(counts), np.uint8)
    start = size = 0
    for at, each in enumerate(counts):
        size += len(each)
        if size >= BATCH or at + 1 == len(counts):
            verdicts[start : at + 1] = _check(counts[start : at + 1], pixels[start : at + 1])
            start, size = at + 1, 0
    return verdicts


def total_of(counts: str) -> int:
    """The sum of the runs in pixels; -1 for a text that is no RLE."""
    text = _codes([counts])
    if text is None or not len(text) or text[-1] & 32:
        return 0 if not counts else -1
    totals, least = _totals(text, np.array([len(text)]))
    return int(totals[0]) if least[0] >= 0 else -1


def _codes(counts: Sequence[str]) -> NDArray[np.uint8] | None:
    try:
        text = "".join(counts).encode("ascii")
    except UnicodeEncodeError:
        return None
    codes = np.frombuffer(text, np.uint8) - np.uint8(48)
    return codes if not len(codes) or codes.max() < 64 else None


def _check(counts: Sequence[str], pixels: Sequence[int]) -> NDArray[np.uint8]:
    codes = _codes(counts)
    if codes is None:
        if len(counts) == 1:
            return np.array([CHARACTERS], np.uint8)
        return np.concatenate([_check([c], [p]) for c, p in zip(counts, pixels, strict=True)])
    verdicts = np.zeros(len(counts), np.uint8)
    lengths = np.array([len(each) for each in counts])
    filled = np.flatnonzero(lengths)
    if not len(filled):
        return verdicts
    ends = np.cumsum(lengths[filled])
    cut = (codes[ends - 1] & 32) != 0
    if cut.any():
        verdicts[filled[cut]] = CUT
        whole = [at for at in range(len(counts)) if verdicts[at] == OK]
        if whole:
            verdicts[whole] = _check([counts[at] for at in whole], [pixels[at] for at in whole])
        return verdicts
    totals, least = _totals(codes, ends)
    verdicts[filled[totals != np.array(pixels)[filled]]] = FILL
    verdicts[filled[least < 0]] = NEGATIVE
    return verdicts


def _totals(
    codes: NDArray[np.uint8], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each RLE the sum of its runs and its least run. `ends`: where each ends in `codes`.

    Format of pycocotools (`rleToString`): five bits a character, the sixth says that more follow;
    from the fourth run on, the difference to the run before the last.
    """
    last = np.flatnonzero(codes < 32)  # the last character of each number, which has the sign
    numbers = _numbers(codes, last)
    stops = np.searchsorted(last, ends - 1) + 1
    first = np.concatenate(([0], stops[:-1]))
    # Every second number belongs to one chain of differences; the very first stands alone.
    alone = numbers[first].astype(np.int64)
    numbers[first] = 0
    totals, least = alone.copy(), alone
    for parity in (0, 1):
        start = (first + 1 - parity) // 2  # where each RLE's part of this chain begins
        size = (stops + 1 - parity) // 2 - start
        here = np.flatnonzero(size)
        if not len(here):
            continue
        start = start[here]
        sums = np.cumsum(numbers[parity::2], dtype=np.int64)
        # Each part begins anew: what the parts before it have summed up is taken off.
        before = np.concatenate(([0], sums[start[1:] - 1]))
        totals[here] += np.add.reduceat(sums, start) - before * size[here]
        least[here] = np.minimum(least[here], np.minimum.reduceat(sums, start) - before)
    return totals, least


def _numbers(codes: NDArray[np.uint8], last: NDArray[np.int64]) -> NDArray[np.int32]:
    """The numbers whose last characters are at `last`."""
    follows = codes >= 32
    low = np.maximum(codes, 32) - np.uint8(32)  # five bits, 0 where no more follow
    # Nearly all numbers have up to three characters, 15 bits: done for all places at once.
    # At a place that is not the last of a number the value means nothing.
    value = (((codes & 31) ^ 16).view(np.int8) - np.int8(16)).astype(np.int16)
    value[1:] = value[1:] * (follows[:-1] * np.int16(31) + np.int16(1)) + low[:-1]
    two = follows[:-2] & follows[1:-1]
    value[2:] = value[2:] * (two * np.int16(31) + np.int16(1)) + low[:-2] * two
    numbers = value.take(last).astype(np.int32)
    long = np.flatnonzero(two[:-1] & follows[2:-1] & ~follows[3:]) + 3
    if len(long):
        numbers[np.searchsorted(last, long)] = _long_numbers(codes, long)
    return numbers


def _long_numbers(codes: NDArray[np.uint8], last: NDArray[np.int64]) -> NDArray[np.int32]:
    """The numbers of four and more characters that end at `last`."""
    value = ((codes[last] & 31).astype(np.int64) ^ 16) - 16
    more = np.arange(len(last))
    for back in range(1, _MOST_DIGITS + 1):
        before = last[more] - back
        more = more[(before >= 0) & (codes[before] >= 32)]
        value[more] = (value[more] << 5) | (codes[last[more] - back] & 31)
        if not len(more):
            break
    # What no run of a picture can be is reported as a negative one.
    value[np.abs(value) > _LONGEST] = -_LONGEST
    return value.astype(np.int32)
