"""Charts as inline SVG; CSS classes give the colours, so that they follow the page's theme."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from saco_data.dataset.drawing import PALETTE
from saco_data.model import words

WIDTH, HEIGHT = 720, 200
LEFT, BOTTOM, TOP = 64, 36, 20
POINTS = 240


def stacked(parts: Sequence[tuple[str, int]]) -> Markup:
    """A bar of parts, given as (CSS class, amount), over the full width."""
    total = sum(amount for _, amount in parts)
    label = ", ".join(f"{amount:,} {name}" for name, amount in parts if amount)
    drawn, at = [], 0.0
    for name, amount in parts:
        if amount:
            # At least half a percent, so that small losses are visible.
            wide = max(100 * amount / total, 0.5)
            drawn.append(
                Markup('<rect class="s-{}" x="{:.2f}" width="{:.2f}" height="10"/>').format(
                    name, min(at, 99.5), wide
                )
            )
            at += wide
    return Markup(
        '<svg class="bar" viewBox="0 0 {:.2f} 10" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>'
    ).format(max(at, 100), label or "nothing", Markup("").join(drawn))


def bar(amount: float, largest: float, label: str, kind: str = "plain") -> Markup:
    """A bar whose length is `amount` relative to `largest`; `kind`: the CSS class of its colour."""
    wide = 100 * amount / largest if largest else 0
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect class="{}" width="{:.2f}" height="10"/></svg>'
    ).format(label, kind, max(wide, 0.3 if amount else 0))


def histogram(bins: Sequence[tuple[str, int, int]], title: str) -> Markup:
    """Columns of (label, ready, other): ready ones below, others on top of them."""
    width, height, foot, top = 360, 150, 20, 16
    tallest = max((ready + other for _, ready, other in bins), default=0) or 1
    across, up = width / max(1, len(bins)), height - foot - top
    drawn = []
    for at, (label, ready, other) in enumerate(bins):
        left, base = at * across + 2, float(height - foot)
        for kind, part in (("s-done", ready), ("s-gone", other)):
            # At least a pixel, so that few are visible beside many.
            tall = max(up * part / tallest, 1) if part else 0
            base -= tall
            drawn.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(kind, left, base, across - 4, tall)
            )
        middle = left + across / 2 - 2
        count = words.number(ready + other) if ready + other else ""
        for text, y in ((count, base - 4), (label, height - 5)):
            drawn.append(
                Markup('<text class="mid" x="{:.1f}" y="{:.1f}">{}</text>').format(middle, y, text)
            )
    said = "; ".join(f"{label}: {ready:,} ready, {other:,} not" for label, ready, other in bins)
    return Markup(
        '<svg class="plot histogram" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(width, height, f"{title}. {said}", Markup("").join(drawn))


def timeline(
    frames: Sequence[int], tracks: Sequence[tuple[str, Sequence[bool]]], title: str
) -> Markup:
    """A row for each track of (name, whether it is in sight at each of `frames`)."""
    row, first, last = 24, frames[0], frames[-1]
    height = row * len(tracks) + BOTTOM
    # A frame is shown until the next one; the last as wide as the one before.
    ends = [*frames[1:], last + (last - frames[-2] if len(frames) > 1 else 1)]
    scale = (WIDTH - LEFT - 12) / (ends[-1] - first)
    drawn, said = [], []
    for at, (name, seen) in enumerate(tracks):
        y = at * row + 3
        drawn.append(
            Markup('<text class="end" x="{}" y="{}">{}</text>').format(LEFT - 8, y + 15, name)
        )
        drawn.append(Markup('<path class="rule" d="M{} {}H{}"/>').format(LEFT, y + 9, WIDTH - 12))
        parts = [
            Markup('<rect x="{:.1f}" y="{}" width="{:.1f}" height="18" fill="{}"/>').format(
                LEFT + scale * (frame - first), y, scale * (end - frame), colour_of(at)
            )
            for frame, end, is_seen in zip(frames, ends, seen, strict=True)
            if is_seen
        ]
        drawn += parts
        said.append(f"object {name}: in {len(parts)} of {len(frames)} frames")
    for text, x, kind in ((first, LEFT, ""), (last, WIDTH - 12, "end")):
        drawn.append(
            Markup('<text class="{}" x="{}" y="{}">frame {}</text>').format(
                kind, x, height - 8, text
            )
        )
    return Markup(
        '<svg class="plot timeline" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, height, f"{title}. {'; '.join(said)}", Markup("").join(drawn))


def colour_of(number: int) -> str:
    """The colour of an object in pictures, as CSS."""
    return "rgb({}, {}, {})".format(*PALETTE[number % len(PALETTE)])


def growth(times: Sequence[int], runs: Sequence[int]) -> Markup:
    """The number of files that were ready, over time.

    `times` at which a file became ready and `runs`, the starts of runs (marks on the axis), in
    seconds since the epoch. Empty where all times are equal.
    """
    times = sorted(times)
    if not times:
        return Markup("")
    # Starts with the run that made the first file, so that the line starts at 0.
    first = max((run for run in runs if run <= times[0]), default=times[0])
    last = times[-1]
    if first == last:
        return Markup("")
    across, up = WIDTH - LEFT - 12, HEIGHT - BOTTOM - TOP

    def x(time: float) -> float:
        return LEFT + across * (time - first) / (last - first)

    def y(count: float) -> float:
        return TOP + up * (1 - count / len(times))

    line, counted = [f"M{x(first):.1f} {y(0):.1f}"], 0
    step = (last - first) / POINTS
    for point in range(POINTS + 1):
        until = last if point == POINTS else first + step * point
        before = counted
        while counted < len(times) and times[counted] <= until:
            counted += 1
        if counted != before:
            line.append(f"H{x(until):.1f}V{y(counted):.1f}")
    path = "".join(line)
    marks = Markup("").join(
        Markup('<path class="mark" d="M{0:.1f} {1}v6"/>').format(x(run), HEIGHT - BOTTOM)
        for run in runs
        if first <= run <= last
    )
    grid = Markup("").join(
        Markup(
            '<path class="rule" d="M{0} {1:.1f}H{2}"/>'
            '<text class="end" x="{3}" y="{4:.1f}">{5}</text>'
        ).format(LEFT, y(count), WIDTH - 12, LEFT - 8, y(count) + 4, words.number(count))
        for count in sorted({0, len(times) // 2, len(times)})
    )
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{grid}'
        '<path class="area" d="{path}V{floor}Z"/><path class="line" d="{path}"/>{marks}'
        '<text x="{left}" y="{foot}">{start}</text>'
        '<text class="end" x="{right}" y="{foot}">{end}</text></svg>'
    ).format(
        w=WIDTH,
        h=HEIGHT,
        label=f"{len(times):,} files became ready between {_when(first, last)} and"
        f" {_when(last, first)} UTC",
        grid=grid,
        path=path,
        floor=HEIGHT - BOTTOM,
        marks=marks,
        left=LEFT,
        right=WIDTH - 12,
        foot=HEIGHT - 6,
        start=_when(first, last),
        end=_when(last, first),
    )


def _when(time: int, other: int) -> str:
    return words.when(time, seconds=abs(time - other) < 7200)
