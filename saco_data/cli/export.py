"""`saco export`: a prepared copy in the formats of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from saco_data.cli.common import Options, json_option, print_json, subsets_argument
from saco_data.cli.shared_options import AnyCase

# Not from the table of formats: help must be quick. A test compares them.
NAMES = ("coco", "yolo", "webdataset", "parquet", "fiftyone", "croissant")


@click.command()
@click.argument("format_name", metavar="FORMAT", type=AnyCase(NAMES))
@subsets_argument
@click.option(
    "--to",
    required=True,
    metavar="PLACE",
    help="A new folder, or a prefix of a bucket (s3://, gs://).",
)
@click.option(
    "--one-class",
    is_flag=True,
    help="coco, yolo: one class for all masks, instead of one for each phrase.",
)
@json_option
@click.pass_obj
def export(
    options: Options,
    format_name: str,
    subsets: Sequence[str],
    to: str,
    one_class: bool,
    as_json: bool,
) -> None:
    """Write a prepared copy as coco, yolo, webdataset, parquet, fiftyone or croissant.

    No SUBSET: all of Silver's that are prepared. Example: saco export coco nga --to nga-coco
    """
    from saco_data import api
    from saco_data.export import export as write
    from saco_data.storage.targets import require_target

    if "://" not in to:
        require_target(Path(to).absolute(), is_folder=True)
    settings, names = options.select(subsets)
    dataset = api.load(settings)
    chosen = [name for name in names if name in dataset or subsets]
    manifests = {name: settings.subset(name).manifest for name in chosen}
    done = write(format_name, dataset, manifests, to, one_class=one_class)
    if as_json:
        print_json(done.as_json())
        return
    for name, each in done.counts.items():
        note = done.facts[name]["coverage"]["note"]
        click.echo(
            f"{name}: {each.pictures} pictures, {each.image_nps} image-NPs, {each.masks} masks"
            f" ({note})"
        )
    click.echo(f"written to {to}", err=True)
