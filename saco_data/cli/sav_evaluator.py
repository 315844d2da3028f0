"""`sav_evaluator.py` of SAM 2: official flags and numbers, quicker and with its faults named.

Differences on purpose: a video without predictions is an error unless `--partial` is given, all
faults are named before anything is counted, and `results.csv` lies beside the predictions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from saco_data.config.granted import processors
from saco_data.evaluation import jf
from saco_data.executors.local import LocalExecutor
from saco_data.model.errors import Interrupted, SacoError
from saco_data.storage import files


def main(arguments: Sequence[str] | None = None) -> None:
    """`python sav_evaluator.py --gt_root FOLDER --pred_root FOLDER`"""
    options = _parser().parse_args(arguments)
    try:
        _evaluate(options)
    except SacoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="J&F of predicted masks, as SA-V is evaluated.",
        epilog="A folder a video, in it <object>/<frame>.png or label maps <frame>.png.",
    )
    parser.add_argument("--gt_root", type=Path, required=True, help="e.g. sav_val/Annotations_6fps")
    parser.add_argument("--pred_root", type=Path, required=True, help="masks at the same paths")
    parser.add_argument(
        "-n", "--num_processes", type=_positive, default=16, help="at most one a core is started"
    )
    parser.add_argument(
        "-s", "--strict", action="store_true", help="also refuse predictions of unknown videos"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print no table")
    parser.add_argument(
        "--do_not_skip_first_and_last_frame",
        action="store_true",
        help="count the first and last frame too, which is not the standard for SA-V",
    )
    parser.add_argument(
        "--partial", action="store_true", help="count only videos that have predictions"
    )
    parser.add_argument(
        "--results", type=Path, help="where the table goes; default: <pred_root>_results.csv"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number of processes")
    return int(text)


def _evaluate(options: argparse.Namespace) -> None:
    width = min(options.num_processes, processors())
    executor = LocalExecutor(width) if width > 1 else None
    skip = not options.do_not_skip_first_and_last_frame
    if not options.quiet:
        print("The first and last frame of each object are", "left out." if skip else "counted.")
    is_done = False
    try:
        result = jf.evaluate_folders(
            options.gt_root,
            options.pred_root,
            skip_first_and_last=skip,
            partial=options.partial,
            strict=options.strict,
            executor=executor,
            progress=_show if sys.stderr.isatty() and not options.quiet else None,
        )
        is_done = True
    finally:
        if executor:
            executor.close(now=not is_done)
    for note in result.remarks:
        print(f"note: {note}", file=sys.stderr)
    table, number = result.as_csv(), result.official
    if not options.quiet:
        print(table.replace(",", " "))
        print("Global score: J&F: {JF:.1f} J: {J:.1f} F: {F:.1f}".format(**number))
        print(result)
    # The absolute path also names the folder where "." was given.
    folder = options.pred_root.absolute().resolve()
    path = options.results or folder.with_name(f"{folder.name}_results.csv")
    print(f"Saving the results to {path}")
    files.write_if_changed(path, table.encode())


def _show(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} masks", end="\n" if done == total else "", file=sys.stderr)
