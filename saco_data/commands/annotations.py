"""`saco annotations`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from saco_data.commands.common import Options, json_option, named, subsets_argument

if TYPE_CHECKING:
    from saco_data.config import Settings


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
    help="With --from roboflow: its ready pictures instead (compressed again).",
)
@json_option
@click.pass_obj
def get_annotations(
    options: Options, subsets: Sequence[str], source: str, images: bool, as_json: bool
) -> None:
    """Get the annotation files and check them against the published counts.

    A file that is there and differs is set aside, never overwritten. Example: saco annotations nga
    """
    from saco_data.errors import SacoError, UsageError, most_severe
    from saco_data.report.console import readable

    settings, names = options.settings(), named(subsets)
    if images and source != "roboflow":
        raise UsageError("--images goes with --from roboflow only", remedy="Write both")
    get = _images(settings) if images else _files(settings, source)
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
        click.echo(json.dumps({"subsets": results, "complete": code == 0}, indent=1))
    else:
        for name, result in results.items():
            if "error" not in result:
                click.echo(f"{name}: {_words(result)}")
    sys.exit(code)


def _files(settings: Settings, source: str) -> Callable[[str], tuple[int, dict[str, Any]]]:
    from saco_data.fetch_annotations import getter

    get = getter(settings, source)

    def one(subset: str) -> tuple[int, dict[str, Any]]:
        fetched = get(subset)
        for warning in fetched.warnings:
            click.echo(f"{subset}: warning: {warning}", err=True)
        if fetched.kept_as:
            click.echo(f"{subset}: the file that was there is kept as {fetched.kept_as}", err=True)
        return 0, fetched.as_json()

    return one


def _images(settings: Settings) -> Callable[[str], tuple[int, dict[str, Any]]]:
    from saco_data.errors import Blocked, Incomplete
    from saco_data.fetch_roboflow import fetch_images
    from saco_data.records import State

    def one(subset: str) -> tuple[int, dict[str, Any]]:
        counts = fetch_images(settings, subset)
        states = {reason.state for reason in counts}
        code = Blocked.exit_code if State.BLOCKED in states else 0
        code = code or (Incomplete.exit_code if State.FAILED in states else 0)
        return code, {"state": "recompressed", "pictures": {str(k): n for k, n in counts.items()}}

    return one


def _words(result: dict[str, Any]) -> str:
    if "pictures" in result:
        counts = ", ".join(f"{count} {reason}" for reason, count in result["pictures"].items())
        return f"{counts or 'nothing to take'} (compressed again: pixels differ from the originals)"
    revision = f", revision {result['revision'][:12]}" if result["revision"] else ""
    return (
        f"{result['state']}, {result['image_nps']} image-NPs, {result['masks']} masks, "
        f"{result['files']} files{revision}"
    )
