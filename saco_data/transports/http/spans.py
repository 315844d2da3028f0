"""Arithmetic of byte ranges: sorted lists of spans that neither overlap nor touch."""

from __future__ import annotations

Span = tuple[int, int]  # start, stop (exclusive)


def join(spans: list[Span], span: Span) -> list[Span]:
    """`spans` with `span` added; what touches is merged."""
    start, stop = span
    apart = [(a, b) for a, b in spans if b < start or a > stop]
    for a, b in spans:
        if not (b < start or a > stop):
            start, stop = min(start, a), max(stop, b)
    return sorted([*apart, (start, stop)])


def first_gap(spans: list[Span], size: int | None) -> tuple[int, int | None] | None:
    """The first range of a file of `size` bytes that `spans` lack; None if they lack nothing."""
    start = 0
    for a, b in spans:
        if a > start:
            return start, a
        start = b
    return None if size is not None and start >= size else (start, size)


def total(spans: list[Span]) -> int:
    """Bytes in all spans."""
    return sum(stop - start for start, stop in spans)
