"""Commands about past states and other copies: `saco history`, `card`, `intersect`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from saco_data.cli.common import (
    Options,
    Target,
    json_option,
    only_subsets_option,
    print_json,
    subsets_argument,
)


@click.command()
@click.argument("item", metavar="ITEM")
@json_option
@click.pass_obj
def history(options: Options, item: str, as_json: bool) -> None:
    """Show the present and past states of a file or video.

    ITEM is a file_name, a video, or a part of one. Example: saco history sav_000003.mp4
    """
    from saco_data.report import history as report

    histories = report.read(options.settings(), item)
    if as_json:
        print_json({"items": [each.as_json() for each in histories]})
    else:
        click.echo("\n\n".join(each.in_words() for each in histories))


@click.command()
@subsets_argument
@click.option(
    "--to",
    type=Target(is_folder=True),
    metavar="DIR",
    help="Where to write it.  [default: card in silver_path]",
)
@json_option
@click.pass_obj
def card(options: Options, subsets: Sequence[str], to: Path | None, as_json: bool) -> None:
    """Write what this copy has: for a paper, and to compare with others.

    A folder with card.json, a paragraph, and a keep-list for each subset.
    Example: saco card --to nga-card nga
    """
    from saco_data.model.errors import Incomplete
    from saco_data.share import card as cards
    from saco_data.share.paragraph import write_paragraph

    settings, names = options.select(subsets)
    made = cards.make(settings, names)
    path = cards.write(settings, made, to)
    if as_json:
        print_json(made.as_json())
    else:
        click.echo(write_paragraph(made))
    click.echo(f"written to {path.parent}", err=True)
    sys.exit(0 if made.complete else Incomplete.exit_code)


@click.command()
@click.argument(
    "copies", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A [B]..."
)
@only_subsets_option
@click.option(
    "--to",
    type=Target(is_folder=True),
    metavar="DIR",
    help="Where to write.  [default: intersection in silver_path]",
)
@json_option
@click.pass_obj
def intersect(
    options: Options,
    copies: Sequence[Path],
    subsets: Sequence[str],
    to: Path | None,
    as_json: bool,
) -> None:
    """Write annotation files with only the files that one copy has, or that several all have.

    A, B...: cards, keep-lists or locks of the laboratories. All of them get the same bytes. Of
    locks, only pictures that agree are kept.
    Example: saco intersect our/card their/card
    """
    from saco_data.share import copies as copying
    from saco_data.share import intersect as intersection

    settings, names = options.select(subsets)
    loaded = [copying.load(path, settings.registry.ids) for path in copies]
    written = intersection.intersect(settings, loaded, names, to)
    if as_json:
        content = {name: each.as_json() for name, each in written.items()}
        print_json({"subsets": content})
        return
    for name, each in written.items():
        click.echo(
            f"{name}: {each.files[1]} of {each.files[0]} files, "
            f"{each.image_nps[1]} of {each.image_nps[0]} image-NPs, "
            f"{each.masks[1]} of {each.masks[0]} masks, keep-list {each.keep_list_sha256}"
        )
        if each.differing:
            click.echo(f"{name}: {each.differing} left out, their pictures do not agree", err=True)
    left_out = [name for name in names if name not in written]
    if left_out:
        click.echo(f"not in every copy, so left out: {', '.join(left_out)}", err=True)
    folder = next(iter(written.values())).path.parent
    click.echo(f"base_annotation_path_silver: {folder}")
