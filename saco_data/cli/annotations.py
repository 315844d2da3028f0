"""The command `saco annotations`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saco_data.cli.common import Options, json_option, print_json, subsets_argument

if TYPE_CHECKING:
    from saco_data.config.settings import Settings
    from saco_data.sources.annotation_files import Fetched


@click.command("annotations")
@subsets_argument
@click.option(
    "--from",
    "source",
    default="hub",
    show_default=True,
    metavar="hub|roboflow|FOLDER",
    help="Where they come from.",
)
@click.option(
    "--images",
    is_flag=True,
    help="With --from roboflow: its processed pictures instead (compressed again).",
)
@json_option
@click.pass_obj
def get_annotations(
    options: Options, subsets: Sequence[str], source: str, images: bool, as_json: bool
) -> None:
    """Get the annotation files and check them against the published counts.

    An existing file that differs is kept under another name. Example: saco annotations nga
    """
    from saco_data.model.errors import SacoError, UsageError, most_severe
    from saco_data.report.console import readable

    settings, names = options.select(subsets)
    if images and source != "roboflow":
        raise UsageError("--images goes with --from roboflow only", remedy="Write both")
    get = _make_image_getter(settings) if images else _make_file_getter(settings, source)
    results: dict[str, Any] = {}
    codes = [0]
    for name in names:
        try:
            code, results[name] = get(name)
        except SacoError as error:
            click.echo(readable(name, str(error)), err=True)
            code, results[name] = error.exit_code, {"state": "missing", "error": str(error)}
        codes.append(code)
    code = most_severe(codes)
    if as_json:
        print_json({"subsets": results, "complete": code == 0})
    else:
        for name, result in results.items():
            if "error" not in result:
                click.echo(f"{name}: {_describe(result)}")
    sys.exit(code)


def _make_file_getter(
    settings: Settings, source: str
) -> Callable[[str], tuple[int, dict[str, Any]]]:
    from saco_data.report.console import readable

    fetch = make_fetcher(settings, source)

    def get(subset: str) -> tuple[int, dict[str, Any]]:
        fetched = fetch(subset)
        for warning in fetched.warnings:
            click.echo(readable(subset, f"warning: {warning}"), err=True)
        if fetched.kept_as:
            click.echo(f"{subset}: the earlier file is kept as {fetched.kept_as}", err=True)
        return 0, fetched.as_json()

    return get


def _make_image_getter(settings: Settings) -> Callable[[str], tuple[int, dict[str, Any]]]:
    from saco_data.engine.roboflow_images import fetch_images
    from saco_data.model.errors import Blocked, Incomplete
    from saco_data.model.reasons import State

    def get(subset: str) -> tuple[int, dict[str, Any]]:
        counts = fetch_images(settings, subset)
        states = {reason.state for reason in counts}
        code = Blocked.exit_code if State.BLOCKED in states else 0
        code = code or (Incomplete.exit_code if State.FAILED in states else 0)
        return code, {"state": "recompressed", "pictures": {str(k): n for k, n in counts.items()}}

    return get


def _describe(result: dict[str, Any]) -> str:
    if "pictures" in result:
        counts = ", ".join(f"{count} {reason}" for reason, count in result["pictures"].items())
        return f"{counts or 'nothing to take'} (compressed again: pixels differ from the originals)"
    revision = f", revision {result['revision'][:12]}" if result["revision"] else ""
    return (
        f"{result['state']}, {result['image_nps']} image-NPs, {result['masks']} masks, "
        f"{result['files']} files{revision}"
    )


def make_fetcher(settings: Settings, source: str) -> Callable[[str], Fetched]:
    """The function that fetches the annotation file of a subset by its id.

    `source`: `hub`, `roboflow` or a folder. Raises UsageError.
    """
    from saco_data.model.errors import UsageError
    from saco_data.sources.annotation_files import Annotations

    at = Annotations()
    if source == "hub":
        return lambda name: at.fetch(settings.subset(name))
    if source == "roboflow":
        from saco_data.sources import roboflow_export

        return lambda name: roboflow_export.fetch_annotations(at, settings.subset(name))
    folder = Path(source).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(
            "is neither `hub`, `roboflow` nor a folder", item=source, remedy="Name one of them"
        )
    return lambda name: at.from_folder(settings.subset(name), folder)
