"""`saco push`, and what `status` and `verify` say of a store with `--at`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from saco_data.cli.common import Options, json_option, print_json, subsets_argument

at_option = click.option(
    "--at", "place", metavar="PLACE", help="Of what `saco push` put there; needs no config."
)


@click.command()
@click.argument("place", metavar="PLACE")
@subsets_argument
@json_option
@click.pass_obj
def push(options: Options, place: str, subsets: Sequence[str], as_json: bool) -> None:
    """Publish what is prepared here in a bucket or folder.

    PLACE: s3://bucket/prefix, gs://bucket/prefix, or a folder. What is there already is not sent
    again. Example: saco push s3://my-bucket/silver nga
    """
    from saco_data.engine import push as pushing
    from saco_data.model.errors import Incomplete
    from saco_data.model.words import human

    settings, names = options.select(subsets)
    done = pushing.push(settings, place, names)
    if as_json:
        print_json({"place": place, "subsets": done.as_json()})
    else:
        for each in done.subsets:
            replaced = f", {each.replaced} of them replaced" if each.replaced else ""
            what = f"{each.put} put{replaced}, {each.same} there already, {human(each.sent)} sent"
            click.echo(f"{each.subset}: {what}")
    for each in done.subsets:
        for name, why in each.skipped.items():
            click.echo(f"{each.subset}: {name} is not published: it {why}", err=True)
    if any(each.skipped for each in done.subsets):
        click.echo("Run `saco verify`, then `saco prepare`, and push again", err=True)
        sys.exit(Incomplete.exit_code)


def show_status_at(place: str, subsets: Sequence[str], as_json: bool) -> None:
    """Prints the status of what a store holds."""
    from saco_data.catalog import registry
    from saco_data.engine import published
    from saco_data.report import console
    from saco_data.storage.store import open_store

    names = registry.builtin().select_or_all(subsets)
    status = published.read_status(open_store(place), names)
    if as_json:
        print_json(status.as_json())
    else:
        console.print_status(status)


def verify_at(place: str, subsets: Sequence[str], full: bool, as_json: bool) -> int:
    """Prints what is wrong with the objects of a store; returns the exit code."""
    from saco_data.catalog import registry
    from saco_data.engine import published
    from saco_data.model.errors import Incomplete
    from saco_data.storage.store import open_store

    names = registry.builtin().select_or_all(subsets)
    checked = published.verify(open_store(place), names, full=full)
    if as_json:
        content = {
            each.subset: {"objects": each.objects, "faults": each.faults} for each in checked
        }
        print_json({"subsets": content})
    else:
        for each in checked:
            click.echo(f"{each.subset}: {each.objects} objects, {len(each.faults)} damaged")
    for each in checked:
        for key, fault in each.faults.items():
            click.echo(f"{each.subset}: {key} {fault}; `saco push` repairs it", err=True)
    return Incomplete.exit_code if any(each.faults for each in checked) else 0
