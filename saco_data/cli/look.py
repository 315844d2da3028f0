"""Commands that only read: `saco status`, `saco plan`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from saco_data.cli.common import (
    Options,
    json_option,
    print_json,
    refuse_idle,
    show,
    subsets_argument,
)
from saco_data.cli.push import at_option, show_status_at


@click.command()
@subsets_argument
@click.option(
    "--reasons", is_flag=True, help="Each reason, since when, and the message of the source."
)
@at_option
@json_option
@click.pass_obj
def status(
    options: Options, subsets: Sequence[str], reasons: bool, place: str | None, as_json: bool
) -> None:
    """Count files by state and reason.

    Example: saco status --json
    """
    if place:
        refuse_idle(["reasons"], "with --at")
        show_status_at(place, subsets, as_json)
        return
    settings, names = options.select(subsets)
    if not reasons:
        show(settings, names, as_json, evaluator=False)
        return
    from saco_data.report import reasons as report

    counts = report.read(settings, names)
    if as_json:
        print_json({"reasons": [count.as_json() for count in counts]})
    else:
        report.show(counts)


@click.command("plan")
@subsets_argument
@json_option
@click.pass_obj
def show_plan(options: Options, subsets: Sequence[str], as_json: bool) -> None:
    """Show what a run would do: files, bytes, disk, hours, what needs you.

    Downloads and writes nothing, sends no request. Example: saco plan
    """
    from saco_data.engine import forecast
    from saco_data.model.errors import DiskFull
    from saco_data.report import plan_table

    table = forecast.make(*options.select(subsets))
    if as_json:
        print_json(table.as_json())
    else:
        plan_table.show(table)
    if any(system.problem for system in table.systems):
        sys.exit(DiskFull.exit_code)
