"""Commands that write pages and pictures: `saco report`, `saco preview`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from saco_data.cli.common import Options, Target, json_option, print_json, subsets_argument
from saco_data.cli.shared_options import complete_subset


@click.command("report")
@subsets_argument
@click.option(
    "--to",
    type=Target(),
    metavar="FILE",
    help="Where to write it.  [default: .saco/report.html in silver_path]",
)
@click.option(
    "--eval",
    "result",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="RESULT",
    help="Instead: the errors of a model, from what `saco eval --to RESULT` wrote.",
)
@click.option(
    "--compare",
    type=click.Path(exists=True, path_type=Path),
    metavar="CARD",
    help="Also what another copy, or this one earlier, has: what `saco card` wrote there.",
)
@json_option
@click.pass_obj
def write_report(
    options: Options,
    subsets: Sequence[str],
    to: Path | None,
    result: Path | None,
    compare: Path | None,
    as_json: bool,
) -> None:
    """Write an HTML page: coverage, losses, pictures with masks, runs, licences.

    One file that needs no network. Example: saco report --to silver.html
    """
    from saco_data.model.errors import UsageError
    from saco_data.report import mistakes_page, page
    from saco_data.share import copies

    settings, names = options.select(subsets)
    if result is not None and compare is not None:
        raise UsageError("--eval and --compare make different pages", remedy="Give one of them")
    if result is None:
        other = copies.load(compare, settings.registry.ids) if compare else None
        written, rows = page.write(settings, names, to, other), "files"
    else:
        written, rows = mistakes_page.write(settings, result, to), "items"
    if as_json:
        print_json({**vars(written), "path": str(written.path)})
        return
    click.echo(written.path)
    click.echo(
        f"{written.pictures} pictures, {written.rows} {rows}, {written.bytes / 1e6:.1f} MB: "
        "open it with any browser",
        err=True,
    )


@click.command()
@click.argument("subset", required=False, shell_complete=complete_subset)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Another seed, other pictures."
)
@click.option(
    "--to",
    type=Target(is_folder=True),
    metavar="DIR",
    help="Where to write.  [default: the config's directory_save]",
)
@json_option
@click.pass_obj
def preview(
    options: Options, subset: str | None, seed: int, to: Path | None, as_json: bool
) -> None:
    """Draw pictures with their masks as PNG sheets.

    Without SUBSET the config's saco_subset_show; num_images_show sheets go to directory_save.
    Example: saco preview sav
    """
    from saco_data.config.settings import override
    from saco_data.report import preview as previews
    from saco_data.report.console import readable

    settings = options.settings()
    if to is not None:
        settings = override(settings, {"directory_save": str(to)})
    name = settings.registry.find(subset or settings.keys.saco_subset_show).id
    drawn = previews.draw(settings, name, seed)
    for remark in drawn.skipped:
        click.echo(readable(name, remark), err=True)
    if as_json:
        sheets = [str(path) for path in drawn.sheets]
        print_json({"subset": name, "sheets": sheets, "skipped": drawn.skipped})
        return
    for path in drawn.sheets:
        click.echo(path)
