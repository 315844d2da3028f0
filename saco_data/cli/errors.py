"""Errors as people and programs read them: one line on stderr, or with `--json` one object."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from saco_data.model.errors import SacoError, UsageError
from saco_data.model.suggest import suggest

# What is written in the hope that it exists, and what does the same here.
_INSTEAD = {
    "--dry-run": "`saco plan` shows what a run would do, and downloads nothing",
    "--subset": "Name subsets without an option: `saco prepare geode nga`",
}


def tell(error: SacoError) -> int:
    """Prints an error; returns its exit code."""
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps(as_json(error), indent=1))
    else:
        click.echo(f"error: {error}", err=True)
    return error.exit_code


def as_json(error: SacoError) -> dict[str, Any]:
    """What `--json` prints for an error; `findings`: those of a file that cannot be counted."""
    findings = [each.as_json() for each in getattr(error, "findings", [])]
    what = error.what.partition("\n")[0]
    shown = {"what": what, "item": error.item, "remedy": error.remedy, "findings": findings}
    return {"version": 1, "exit_code": error.exit_code, "error": shown}


def translate(error: click.ClickException) -> UsageError:
    """click's error with our parts: what, and what to do."""
    context = getattr(error, "ctx", None)
    help_line = f"See `{context.command_path if context else 'saco'} --help`"
    if isinstance(error, click.NoSuchOption):
        remedy = _INSTEAD.get(error.option_name, "")
        remedy = remedy or suggest(error.option_name, error.possibilities or ())
        return UsageError(f"No such option: {error.option_name}", remedy=remedy or help_line)
    what = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(what, remedy=getattr(error, "nearest", "") or help_line)
