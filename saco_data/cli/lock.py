"""Commands for two laboratories: `saco lock`, `compare`, `diff`."""

from __future__ import annotations

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
@subsets_argument
@click.option(
    "--to",
    type=Target(),
    metavar="FILE",
    help="Where to write it, a name with .parquet.  [default: lock.parquet in silver_path]",
)
@click.option(
    "--neighbours",
    is_flag=True,
    help="Also describe five frames to each side: ten times as large, for copies without videos.",
)
@click.option(
    "--against-masks",
    is_flag=True,
    help="Also look whether masks fit other frames of their video better; a hint, no proof.",
)
@json_option
@click.pass_obj
def lock(
    options: Options,
    subsets: Sequence[str],
    to: Path | None,
    neighbours: bool,
    against_masks: bool,
    as_json: bool,
) -> None:
    """Write a manifest of the pictures themselves, by which others compare theirs.

    A digest and a small descriptor of each picture. Example: saco lock --to our.parquet
    """
    from saco_data.model.words import human
    from saco_data.share import against_masks as shifts
    from saco_data.share import lock as locks

    settings, names = options.select(subsets)
    written = locks.write(settings, names, to, neighbours=neighbours)
    found = shifts.measure(settings, names) if against_masks else None
    if as_json:
        content = {**vars(written), "path": str(written.path)}
        if found is not None:
            content["against_masks"] = {name: vars(each) for name, each in found.items()}
        print_json(content)
        return
    click.echo(f"{written.files} files, {human(written.bytes)}, sha256 {written.sha256}")
    click.echo(f"written to {written.path}", err=True)
    for name, each in (found or {}).items():
        said = each.in_words() or f"no sign of a shift in {each.videos:,} videos"
        click.echo(f"{name}: {said}")


@click.command()
@click.argument("lock", type=click.Path(path_type=Path), metavar="LOCK")
@only_subsets_option
@click.option(
    "--to",
    type=Target(),
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

        built = compare_page.write(settings, found, to)
        click.echo(f"{built.path}: {built.pictures} pictures, open it with any browser", err=True)


@click.command()
@click.argument("a", type=click.Path(exists=True, path_type=Path), metavar="A")
@click.argument("b", type=click.Path(exists=True, path_type=Path), metavar="B")
@only_subsets_option
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
    names = registry.select_or_all(subsets)
    found = differences.diff(copies.load_any(a, registry), copies.load_any(b, registry), names)
    if as_json:
        print_json({"subsets": {name: each.as_json() for name, each in found.items()}})
    else:
        compare_table.show_diff(found)
