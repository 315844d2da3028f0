"""`saco prepare`, and the commands for its single stages."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from saco_data.cli.common import (
    Options,
    carry_out,
    conclude,
    confirm_gone_option,
    json_option,
    read_status,
    refuse_idle,
    show,
    subsets_argument,
)
from saco_data.cli.push import at_option, verify_at


@click.command()
@subsets_argument
@confirm_gone_option
@json_option
@click.pass_obj
def prepare(options: Options, subsets: Sequence[str], confirm_gone: bool, as_json: bool) -> None:
    """Run all stages: fetch, process, verify, prune.

    Example: saco prepare bdd100k sav
    """
    from saco_data.engine.status import is_of_somebody_else

    settings, names = options.select(subsets)
    if is_of_somebody_else(settings) and read_status(settings, names).complete:
        show(settings, names, as_json)
        click.echo(
            f"saco prepare: complete, read-only (exit 0). You may not write {settings.state}: "
            "nothing was written",
            err=True,
        )
        return
    finished = carry_out(options, settings, names, "prepare", confirm_gone=confirm_gone)
    show(settings, names, as_json)
    conclude(settings, names, "prepare", finished.code, finished.results)
    sys.exit(finished.code)


@click.command()
@subsets_argument
@json_option
@click.pass_obj
def download(options: Options, subsets: Sequence[str], as_json: bool) -> None:
    """Fetch raw media only.

    Example: saco download sav
    """
    from saco_data.engine.events import Stages

    settings, names = options.select(subsets)
    code = carry_out(options, settings, names, "download", Stages(process=False)).code
    show(settings, names, as_json)
    sys.exit(code)


@click.command()
@subsets_argument
@json_option
@click.pass_obj
def process(options: Options, subsets: Sequence[str], as_json: bool) -> None:
    """Make products from raw media on this machine, without fetching.

    Example: saco process sav
    """
    from saco_data.engine.events import Stages

    settings, names = options.select(subsets)
    code = carry_out(options, settings, names, "process", Stages(fetch=False)).code
    show(settings, names, as_json)
    sys.exit(code)


@click.command()
@subsets_argument
@confirm_gone_option
@json_option
@click.pass_obj
def prune(options: Options, subsets: Sequence[str], confirm_gone: bool, as_json: bool) -> None:
    """Write the annotation files that evaluation reads, without gone entries.

    An entry returns once its file is available again. Example: saco prune yt1b
    """
    from saco_data.engine.events import Stages

    settings, names = options.select(subsets)
    stages = Stages(fetch=False, process=False)
    code = carry_out(options, settings, names, "prune", stages, confirm_gone=confirm_gone).code
    show(settings, names, as_json)
    sys.exit(code)


@click.command()
@subsets_argument
@click.option("--read-only", is_flag=True, help="Only check: for a copy that you may not write.")
@at_option
@click.option("--full", is_flag=True, help="With --at: read every object there.")
@json_option
@click.pass_obj
def verify(
    options: Options,
    subsets: Sequence[str],
    read_only: bool,
    place: str | None,
    full: bool,
    as_json: bool,
) -> None:
    """Check every finished product: complete, unchanged, of the annotated size.

    The next prepare makes damaged ones again. Example: saco verify geode
    """
    if place:
        sys.exit(verify_at(place, subsets, full, as_json))
    refuse_idle(["full"], "without --at: every file is read here anyway")
    from saco_data.engine import verify as verification

    settings, names = options.select(subsets)
    verified = verification.check if read_only else verification.run
    code = verified(settings, names, options.reporter(settings))
    show(settings, names, as_json)
    sys.exit(code)
