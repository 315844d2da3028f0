"""Commands that only look: `saco status`, `saco plan`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from saco_data.commands.common import Options, json_option, named, show, subsets_argument


@click.command()
@subsets_argument
@json_option
@click.pass_obj
def status(options: Options, subsets: Sequence[str], as_json: bool) -> None:
    """Count files by state and reason.

    Example: saco status --json
    """
    show(options.settings(), named(subsets), as_json, evaluator=False)


@click.command("plan")
@subsets_argument
@json_option
@click.pass_obj
def show_plan(options: Options, subsets: Sequence[str], as_json: bool) -> None:
    """Say what a run would do. Nothing is downloaded.

    Example: saco plan
    """
    from saco_data.report import plan_table

    plans = plan_table.lines(options.settings(), named(subsets))
    if as_json:
        click.echo(json.dumps(plan_table.as_json(plans), indent=1))
    else:
        plan_table.show(plans)
