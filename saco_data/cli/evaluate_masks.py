"""The J&F part of `saco eval`: folders of masks against folders of masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click


def is_folders(words: Sequence[str], truths: Sequence[Path]) -> bool:
    """Whether one folder of predictions is named, and one folder of ground truth."""
    return len(words) == len(truths) == 1 and truths[0].is_dir() and Path(words[0]).is_dir()


def evaluate_masks(
    words: Sequence[str],
    truths: Sequence[Path],
    *,
    skip_first_and_last: bool,
    partial: bool,
    to: Path | None,
    as_json: bool,
) -> None:
    """Prints J&F of a folder of predicted masks. Raises UsageError, FaultsFound."""
    from saco_data.evaluation.files import processors
    from saco_data.evaluation.jf import evaluate_folders
    from saco_data.executors.local import LocalExecutor
    from saco_data.model.errors import UsageError
    from saco_data.storage import files

    if not is_folders(words, truths):
        raise UsageError(
            "J&F compares one folder of masks with one folder of ground truth",
            remedy="Write `saco eval PRED_FOLDER --metric jf --gt GROUND_TRUTH_FOLDER`",
        )
    executor = LocalExecutor(processors())
    try:
        result = evaluate_folders(
            truths[0],
            words[0],
            skip_first_and_last=skip_first_and_last,
            partial=partial,
            executor=executor,
        )
    finally:
        executor.close()
    name = truths[0].resolve().name
    content = {"version": 1, "subsets": {name: result.as_json()}}
    if to is not None:
        files.write_if_changed(to.absolute(), json.dumps(content, indent=1).encode())
    click.echo(json.dumps(content, indent=1) if as_json else str(result))
