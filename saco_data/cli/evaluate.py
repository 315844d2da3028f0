"""`saco eval`, and the drop-in for the official `standalone_cgf1.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saco_data.cli.common import (
    Options,
    Target,
    json_option,
    print_json,
    refuse_idle,
    terminal_width,
)
from saco_data.cli.evaluate_choice import Choice
from saco_data.cli.evaluate_masks import evaluate_masks, find_truth, is_folders
from saco_data.cli.shared_options import AnyCase, complete_subset

if TYPE_CHECKING:
    from saco_data.evaluation.files import Options as How
    from saco_data.evaluation.results import Result

METRICS = ("cgf1", "jf")
VERBS = ("check", "compare")


@click.command("eval")
@click.argument("predictions", nargs=-1, required=True, metavar="[check|compare] PRED...")
@click.option(
    "--subset",
    "-s",
    shell_complete=complete_subset,
    help="What a single PRED is of, where its name does not say it.",
)
@click.option(
    "--gt",
    "truths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The ground truth, without a prepared copy. Three times: Gold.",
)
@click.option("--metric", type=AnyCase(METRICS), help="[default: the subset's own]")
@click.option("--iou", type=AnyCase(["segm", "bbox"]), default="segm", help="Masks or boxes.")
@click.option("--lenient", is_flag=True, help="Drop entries that cannot be counted, and say so.")
@click.option("--partial", is_flag=True, help="Show the numbers on what is here first.")
@click.option(
    "--ran",
    type=click.Path(path_type=Path),
    metavar="IDS",
    help="A file: ids that the model ran on.",
)
@click.option("--format", "kind", type=AnyCase(["md", "latex", "csv", "html"]))
@click.option("--published", is_flag=True, help="With --format: the published rows beside it.")
@click.option(
    "--do-not-skip-first-and-last-frame",
    "every_frame",
    is_flag=True,
    help="J&F: count the first and the last frame of each object too.",
)
@click.option("--seed", type=int, default=0, help="Of the bootstrap.")
@click.option(
    "--to",
    type=Target(),
    metavar="FILE",
    help="Also write the result with the counts of each image-NP.",
)
@json_option
@click.pass_obj
def evaluate(
    options: Options,
    predictions: Sequence[str],
    subset: str | None,
    truths: Sequence[Path],
    metric: str | None,
    iou: str,
    lenient: bool,
    partial: bool,
    ran: Path | None,
    kind: str | None,
    published: bool,
    every_frame: bool,
    seed: int,
    to: Path | None,
    as_json: bool,
) -> None:
    """Compute the official numbers of predictions, with their coverage.

    PRED: a COCO result file, a folder of the official dumps, SUBSET=FILE, or a folder of masks.
    `eval check PRED` only validates, `eval compare A B` compares two models.
    Example: saco eval nga=nga.json
    """
    from saco_data.config.granted import processors
    from saco_data.evaluation.files import Options as How
    from saco_data.model.errors import UsageError

    how = How(iou, lenient, partial, seed=seed, jobs=options.jobs or processors())
    verb, named = _verb(predictions)
    choice = Choice(options, subset, tuple(truths), ran, iou, metric)
    prepared = find_truth(choice) if not verb and metric != "cgf1" else None
    truths = truths if prepared is None else [prepared]
    if not kind:
        refuse_idle(["published"], "without --format")
    if metric == "jf" or (metric is None and not verb and is_folders(named, truths)):
        refuse_idle(["iou", "lenient", "ran", "kind", "seed"], "on J&F")
        evaluate_masks(
            named,
            truths,
            name=choice.settings.subset(subset).id if prepared else "",
            skip_first_and_last=not every_frame,
            partial=partial,
            jobs=how.jobs,
            to=to,
            as_json=as_json,
        )
        return
    refuse_idle(["every_frame"], "on cgF1: it is for J&F")
    if verb and is_folders(named[:1], truths):
        raise UsageError(
            f"eval {verb} is for prediction files, not for folders of masks",
            item=named[0],
            remedy="`saco eval` checks such folders before it counts, and names all faults",
        )
    if verb:
        refuse_idle(["partial", "kind", "to"], f"on eval {verb}")
    if verb == "check":
        refuse_idle(["seed"], "on eval check")
        _check(choice, named, how, as_json)
    elif verb == "compare":
        _compare(choice, named, how, as_json)
    else:
        _show(_run(choice, named, how), as_json, kind, published, to)


def standalone() -> None:
    """`python standalone_cgf1.py --pred_file P --gt_files G [G G]`

    The last line on stdout is that of the official script: the results as a dictionary.
    """
    import argparse

    from saco_data.config.granted import processors
    from saco_data.evaluation import naming
    from saco_data.evaluation.files import Options as How
    from saco_data.evaluation.files import Task, evaluate_one
    from saco_data.model.errors import SacoError

    parser = argparse.ArgumentParser(description="cgF1 of a COCO result file")
    parser.add_argument("--pred_file", type=Path, required=True)
    parser.add_argument("--gt_files", type=Path, nargs="+", required=True)
    given = parser.parse_args()
    task = Task(given.gt_files[0].stem, given.pred_file, tuple(given.gt_files))
    try:
        naming.require_files(given.gt_files)
        result = evaluate_one(task, How(samples=0, jobs=processors()))
    except SacoError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    for line in (*result.notes, *(each.in_words() for each in result.findings)):
        print(f"warning: {line}", file=sys.stderr)
    for name, value in result.official.items():
        print(f" {name:<50} = {value:0.3f}")
    print(result.official)


def _verb(words: Sequence[str]) -> tuple[str, list[str]]:
    from saco_data.model.errors import UsageError
    from saco_data.model.suggest import suggest

    verb, named = "", list(words)
    if named[0].lower() in VERBS:
        verb, named = named[0].lower(), named[1:]
    elif len(named) > 1 and "=" not in named[0] and not Path(named[0]).exists():
        raise UsageError(
            "there is no such file",
            item=named[0],
            remedy=suggest(named[0], VERBS) or "Name a prediction file",
        )
    if not named or (verb == "compare" and len(named) != 2):
        needs = "two predictions" if verb == "compare" else "a prediction"
        raise UsageError(f"eval {verb} needs {needs}", remedy="See `saco eval --help`")
    return verb, named


def _run(choice: Choice, words: Sequence[str], how: How) -> Result:
    from saco_data.evaluation.files import evaluate_files
    from saco_data.model.errors import UsageError

    tasks = choice.tasks(words)
    own = {each.id: each.evaluator for each in choice.manifests()}
    metrics = {choice.metric or own.get(each.name, "cgf1") for each in tasks}
    if metrics != {"cgf1"}:
        raise UsageError(
            f"{', '.join(each.name for each in tasks)}: the metric is "
            f"{', '.join(sorted(metrics))}, and prediction files are counted by cgf1",
            remedy="Name subsets of cgf1; folders of masks are counted with --metric jf",
        )
    return evaluate_files(tasks, how, choice.elsewhere())


def _show(
    result: Result, as_json: bool, kind: str | None, published: bool, to: Path | None
) -> None:
    from saco_data.evaluation import tables

    if to is not None:
        from saco_data.storage import files

        files.write_if_changed(to, json.dumps(result.as_json(items=True)).encode())
    if as_json:
        print_json(result.as_json())
    elif kind:
        click.echo(tables.as_table(result, kind, with_published=published))
    else:
        click.echo(tables.as_text(result, terminal_width()))


def _check(choice: Choice, words: Sequence[str], how: How, as_json: bool) -> None:
    from saco_data.evaluation.files import check_one

    found = {each.name: check_one(each, how, choice.elsewhere()) for each in choice.tasks(words)}
    if as_json:
        subsets = {name: [each.as_json() for each in rows] for name, rows in found.items()}
        print_json({"warnings": subsets})
        return
    for name, rows in found.items():
        click.echo(f"{name}: can be counted{', with warnings' * bool(rows)}")
        for each in rows:
            click.echo(f"  warning: {each.in_words()}")


def _compare(choice: Choice, words: Sequence[str], how: How, as_json: bool) -> None:
    from saco_data.evaluation.compare import compare
    from saco_data.model.errors import UsageError

    a, b = (_evaluated(choice, each, how) for each in words)
    common = [name for name in a if name in b]
    if not common:
        raise UsageError(
            f"the two have no subset in common: {', '.join(a)} and {', '.join(b)}",
            remedy="Evaluate both on the same subset",
        )
    found = {}
    for name in common:
        (items_a, sha_a), (items_b, sha_b) = a[name], b[name]
        found[name] = compare(items_a, items_b, sha_a, sha_b, seed=how.seed)
    if as_json:
        subsets = {name: each.as_json() for name, each in found.items()}
        print_json({"subsets": subsets})
        return
    for name, each in found.items():
        click.echo(f"{name}: {each.in_words()}")


def _evaluated(choice: Choice, word: str, how: How) -> dict[str, Any]:
    """The items and ground truths of a prediction, or of a result that was written with --to."""
    from saco_data.evaluation.compare import read_items
    from saco_data.evaluation.items import items_of
    from saco_data.storage import untrusted_json

    path = Path(word)
    if path.is_file():
        with path.open("rb") as file:
            is_result = file.read(64).lstrip().startswith(b"{")
        if is_result:
            return read_items(path, untrusted_json.parse(path.read_bytes()))
    result = _run(choice, [word], how)
    return {name: (items_of(each.record), each.gt_sha256) for name, each in result.subsets.items()}
