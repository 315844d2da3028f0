"""`saco demo`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from saco_data.cli.common import Options, carry_out, json_option, show, status_of

# What its servers are made of, beyond what the program itself needs.
_NEEDS = ("trustme", "moto", "flask", "flask_cors")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="saco-demo", metavar="[DIR]")
@json_option
@click.pass_obj
def demo(options: Options, folder: Path, as_json: bool) -> None:
    """Do the whole job on a built-in miniature Silver.

    Everything is served on loopback; nothing leaves the machine. Example: saco demo /tmp/try
    """
    from saco_data.config import settings as config
    from saco_data.model.errors import UsageError
    from saco_data.report import page
    from saco_data.sandbox import demo as sandbox

    if missing := [name for name in _NEEDS if not find_spec(name)]:
        raise UsageError(
            f"{', '.join(missing)} is not installed, which only the demo needs",
            remedy="pip install 'saco-data[demo]'",
        )

    made = folder / config.FILE_NAME
    if made.exists() and status_of(config.load(made), sandbox.SUBSETS).complete:
        # No server runs now: were anything fetched again, it would fail.
        settings = config.load(made)
        code = carry_out(options, settings, sandbox.SUBSETS, "demo").code
        click.echo("Everything was done before: nothing was fetched or written.", err=True)
    else:
        with sandbox.serve_miniature(folder) as settings:
            code = carry_out(options, settings, sandbox.SUBSETS, "demo").code
            report = page.write(settings, sandbox.SUBSETS).path
            click.echo(f"The report, for any browser: {report}", err=True)
    show(settings, sandbox.SUBSETS, as_json)
    sys.exit(code)
