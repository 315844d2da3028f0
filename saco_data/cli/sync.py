"""The command `saco sync`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from saco_data.cli.common import (
    Options,
    conclude,
    confirm_gone_option,
    json_option,
    print_json,
    subsets_argument,
    tell_if_stopped,
)


@click.command()
@subsets_argument
@click.option("--full", is_flag=True, help="Verify every finished file, not only a sample.")
@confirm_gone_option
@json_option
@click.pass_obj
def sync(
    options: Options, subsets: Sequence[str], full: bool, confirm_gone: bool, as_json: bool
) -> None:
    """Look again at gone and failed files, verify, repair, restore.

    For a timer: prints what changed since the last run. Example: saco -q sync
    """
    from saco_data.engine import sync as synchronise

    settings, names = options.select(subsets)
    reporter = options.reporter(settings)
    with tell_if_stopped(settings, names, "sync"):
        done = synchronise.sync(settings, names, reporter, full=full, confirm_gone=confirm_gone)
    options.end_progress()
    if as_json:
        print_json(done.as_json())
    else:
        for name, result in done.results.items():
            if phrases := result.changes.in_words():
                click.echo(f"{name}: {', '.join(phrases)}")
    conclude(settings, names, "sync", done.code, done.results)
    sys.exit(done.code)
