"""What commands share: options, the choice of subsets, running and showing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from saco_data.config import Settings
    from saco_data.lane import Stages
    from saco_data.report import Reporter


@dataclass
class Options:
    """The options that all commands share."""

    config: Path | None
    quiet: bool
    verbose: bool

    def settings(self) -> Settings:
        """The config. Raises ConfigError, UsageError."""
        from saco_data import config

        return config.load(self.config or config.find())

    def reporter(self) -> Reporter:
        """Who tells the user how the run goes."""
        from saco_data.report.console import Lines

        return Lines(quiet=self.quiet)


subsets_argument = click.argument("subsets", nargs=-1, metavar="[SUBSET]...")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def named(subsets: Sequence[str]) -> tuple[str, ...]:
    """The subsets asked for, each once. Raises UsageError for an unknown one."""
    from saco_data import manifest

    for name in subsets:
        manifest.load(name)
    return tuple(dict.fromkeys(subsets)) or manifest.SUBSETS


def carry_out(
    options: Options,
    settings: Settings,
    subsets: Sequence[str],
    command: str,
    stages: Stages | None = None,
) -> int:
    from saco_data import run

    return run.run(settings, subsets, command, options.reporter(), stages=stages)


def status_of(settings: Settings, subsets: Sequence[str]) -> Any:
    from saco_data.ledger import Ledger
    from saco_data.report import status as report

    with Ledger(settings.state, read_only=True) as ledger:
        return report.read(settings, ledger, subsets)


def show(
    settings: Settings, subsets: Sequence[str], as_json: bool, *, evaluator: bool = True
) -> None:
    from saco_data.report import console

    found = status_of(settings, subsets)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
        return
    console.print_status(found)
    if evaluator:
        console.print_evaluator(settings)
