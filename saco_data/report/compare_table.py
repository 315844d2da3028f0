"""Prints what `saco compare` and `saco diff` found."""

from __future__ import annotations

from collections.abc import Mapping

from saco_data.model.words import plain
from saco_data.share.compare import Comparison
from saco_data.share.diff import ByReason, SubsetDiff
from saco_data.share.matching import Verdict

MAX_VIDEOS = 20


def show(found: Comparison) -> None:
    """Prints a table of verdicts by subset, and below it the videos that are shifted."""
    from rich.table import Table as Grid

    from saco_data.report.console import print_hanging, stdout

    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("subset", no_wrap=True)
    for name in (*(verdict.value for verdict in Verdict), "still", "only here", "only in lock"):
        grid.add_column(name, justify="right")
    for subset, each in found.subsets.items():
        counts = [*each.counts.values(), each.still, each.missing_in_lock, each.missing_here]
        grid.add_row(subset, *(f"{count:,}" for count in counts))
    console = stdout()
    console.print(grid)
    print("  still: of those that cannot be told, still scenes, where any of the frames fits")
    for subset, each in found.subsets.items():
        said = [(video, compared.in_words()) for video, compared in each.videos.items()]
        shifted = [(video, words) for video, words in said if words]
        for video, words in shifted[:MAX_VIDEOS]:
            print_hanging(console, subset, f"{plain(video)}: {words}")
        if len(shifted) > MAX_VIDEOS:
            print_hanging(console, subset, f"and {len(shifted) - MAX_VIDEOS} other videos")


def show_diff(found: Mapping[str, SubsetDiff]) -> None:
    """Prints a line for each subset and direction, by reason."""
    for subset, each in found.items():
        print(f"{subset}: both have {each.both:,}")
        if each.same_annotations is False:
            print("  they were made with different annotation files")
        for what, files in (
            ("B has and A lacks", each.only_b),
            ("A has and B lacks", each.only_a),
            ("pictures that are not the same bytes", each.pictures),
        ):
            if files:
                print(f"  {what} {sum(map(len, files.values())):,}: {_count(files)}")


def _count(files: ByReason) -> str:
    return ", ".join(f"{plain(reason)} {len(names):,}" for reason, names in files.items())
