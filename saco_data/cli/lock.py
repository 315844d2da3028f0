"""Commands for two laboratories: `saco lock`, `compare`, `diff`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from saco_data.cli.common import Options, json_option, print_json, subsets_argument


@click.command()
@subsets_argument
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it, a name with .parquet.  [default: lock.parquet in silver_path]",
)
@click.option(
    "--neighbours",
    is_flag=True,
    help="Also describe five frames to each side: ten times as large, for copies without videos.",
)
@json_option
@click.pass_obj
def lock(
    options: Options, subsets: Sequence[str], to: Path | None, neighbours: bool, as_json: bool
) -> None:
    """Write a manifest of the pictures themselves, by which others compare theirs.

    A digest and a small descriptor of each picture. Example: saco lock --to our.parquet
    """
    from saco_data.model.words import human
    from saco_data.share import lock as locks

    settings, names = options.select(subsets)
    written = locks.write(settings, names, to.absolute() if to else None, neighbours=neighbours)
    if as_json:
        click.echo(json.dumps({"version": 1, **vars(written), "path": str(written.path)}, indent=1))
        return
    click.echo(f"{written.files} files, {human(written.bytes)}, sha256 {written.sha256}")
    click.echo(f"written to {written.path}", err=True)


@click.command()
@click.argument("lock", type=click.Path(path_type=Path), metavar="LOCK")
@click.option("--subset", "subsets", multiple=True, help="Only this subset; may be repeated.")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write an HTML page with the pictures that differ, side by side.",
)
@json_option
@click.pass_obj
def compare(
    options: Options, lock: Path, subsets: Sequence[str], to: Path | None, as_json: bool
) -> None:
    """Say whether this copy's pictures are those of the copy that LOCK was made of.

    Each is identical, re-encoded, shifted by k frames, different, or it cannot be told.
    Example: saco compare their.parquet --to compared.html
    """
    from saco_data.report import compare_table
    from saco_data.share import compare as comparison
    from saco_data.share import lock_file

    settings, names = options.select(subsets)

    def tell(text: str) -> None:
        if not options.quiet:
            click.echo(text, err=True)

    found = comparison.compare(settings, lock_file.read(lock), names, tell=tell)
    if as_json:
        print_json(found.as_json())
    else:
        compare_table.show(found)
    if to is not None:
        from saco_data.report import compare_page

        built = compare_page.write(settings, found, to.absolute())
        click.echo(f"{built.path}: {built.pictures} pictures, open it with any browser", err=True)


@click.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path), metavar="A")
@click.argument("b", type=click.Path(exists=True, path_type=Path), metavar="B")
@click.option("--subset", "subsets", multiple=True, help="Only this subset; may be repeated.")
@json_option
@click.pass_obj
def diff(options: Options, a: Path, b: Path, subsets: Sequence[str], as_json: bool) -> None:
    """Say what copy B has that copy A lacks, and the other way round, by reason.

    A, B: cards, keep-lists, locks, or folders of prepared copies.
    Example: saco diff our/card their/card
    """
    from saco_data.report import compare_table
    from saco_data.share import copies
    from saco_data.share import diff as differences

    settings = options.settings()
    registry = settings.registry
    names = registry.select(subsets) if subsets else registry.ids
    found = differences.diff(copies.load_any(a, registry), copies.load_any(b, registry), names)
    if as_json:
        content = {name: each.as_json() for name, each in found.items()}
        click.echo(json.dumps({"version": 1, "subsets": content}, indent=1))
    else:
        compare_table.show_diff(found)
