"""The J&F part of `saco eval`: folders of masks against folders of masks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saco_data.cli.common import print_json

if TYPE_CHECKING:
    from saco_data.cli.evaluate_choice import Choice


def is_folders(words: Sequence[str], truths: Sequence[Path]) -> bool:
    """Whether one folder of predictions is named, and one folder of ground truth."""
    return len(words) == len(truths) == 1 and truths[0].is_dir() and Path(words[0]).is_dir()


def find_truth(choice: Choice) -> Path | None:
    """The masks of the prepared copy of the subset that is named, if J&F is its metric.

    Raises UsageError for an unknown subset, AnnotationError where it is not prepared, Incomplete
    where masks are missing: the number would then stand on less than the whole subset.
    """
    from saco_data.dataset import listing
    from saco_data.model.errors import Incomplete

    if choice.subset is None or choice.truths:
        return None
    config = choice.settings.subset(choice.subset)
    manifest, folder = config.manifest, config.manifest.annotations.folder
    if manifest.evaluator != "jf" or folder is None:
        return None
    names = listing.read(config.pristine, manifest).products
    masks = [name for name in names if name.startswith(f"{folder}/")]
    missing = sum(not (config.images / name).is_file() for name in masks)
    if missing:
        raise Incomplete(
            f"{missing} of {len(masks)} masks are missing",
            item=str(config.images / folder),
            remedy=f"Run `saco prepare {config.id}` first",
        )
    truth: Path = config.images / folder
    return truth


def evaluate_masks(
    words: Sequence[str],
    truths: Sequence[Path],
    *,
    name: str = "",
    skip_first_and_last: bool,
    partial: bool,
    jobs: int,
    to: Path | None,
    as_json: bool,
) -> None:
    """Prints J&F of a folder of predicted masks. Raises UsageError, FaultsFound.

    `name`: what the result is called; by default the name of the folder of ground truth.
    """
    from saco_data.evaluation.jf import evaluate_folders
    from saco_data.executors.local import LocalExecutor
    from saco_data.model.errors import UsageError
    from saco_data.storage import files

    for place in map(str, truths):
        if not Path(place).exists():
            raise UsageError("there is no such folder", item=place, remedy="Name a folder of masks")
    if not is_folders(words, truths):
        raise UsageError(
            "J&F compares one folder of masks with one folder of ground truth",
            remedy="Write `saco eval PRED_FOLDER --metric jf --gt GROUND_TRUTH_FOLDER`",
        )
    executor = LocalExecutor(jobs)
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
    name = name or truths[0].resolve().name
    content = {"version": 1, "subsets": {name: result.as_json()}}
    if to is not None:
        files.write_if_changed(to.absolute(), json.dumps(content, indent=1).encode())
    if as_json:
        print_json(content)
        return
    click.echo(str(result))
    for note in result.remarks:
        click.echo(f"note: {note}", err=True)
