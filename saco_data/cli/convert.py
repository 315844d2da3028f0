"""`saco convert`: masks into a layout that other tools open."""

from __future__ import annotations

from pathlib import Path

import click

from saco_data.cli.common import Target, json_option, print_json
from saco_data.cli.shared_options import AnyCase


@click.command()
@click.argument("layout", type=AnyCase(["vos"]))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--to", type=Target(is_folder=True), help="A new folder; without it, DIR with -vos added."
)
@click.option(
    "--keep-255", is_flag=True, help="Keep unknown pixels (255), which SAM 2 takes for an object."
)
@json_option
def convert(layout: str, folder: Path, to: Path | None, keep_255: bool, as_json: bool) -> None:
    """Write videos with masks as JPEGImages and Annotations.

    For SAM 2 and other tools for video object segmentation. Each object has a mask in the first
    frame: what appears later gets a video of its own. DIR holds Annotations (PNG) or a JSON file,
    and JPEGImages. Example: saco convert vos my-videos
    """
    from saco_data.dataset import vos
    from saco_data.dataset.vos_open import open_videos

    absolute = folder.absolute().resolve()
    target = to or absolute.with_name(f"{absolute.name}-{layout}")
    written = vos.write(open_videos(folder), target, keep_void=keep_255)
    counts = written.as_json()
    if as_json:
        print_json({**counts, "to": str(target)})
        return
    click.echo(
        "{videos} videos ({late} of objects that appear late, {overlapping} of objects that overlap"
        " another), {objects} objects, {frames} frames, {label_maps} label maps".format(**counts)
    )
    if written.skipped:
        click.echo(f"left out, without any mask: {', '.join(written.skipped)}")
    click.echo(str(target))
