"""The command `saco demo`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from saco_data.cli.common import Options, carry_out, json_option, read_status, show, terminal_width

# Packages that only the servers of the demo need.
_NEEDS = ("trustme", "moto", "flask", "flask_cors")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="saco-demo", metavar="[DIR]")
@json_option
@click.pass_obj
def demo(options: Options, folder: Path, as_json: bool) -> None:
    """Run all stages on a built-in miniature Silver, and evaluate a prediction.

    All servers run on this machine; no other is contacted. Example: saco demo /tmp/try
    """
    from saco_data.config import settings as config
    from saco_data.config.installation import how_to_install
    from saco_data.evaluation import tables
    from saco_data.model.errors import UsageError
    from saco_data.report import page
    from saco_data.sandbox import demo as sandbox
    from saco_data.sandbox import imperfect
    from saco_data.storage.targets import require_target

    if missing := [name for name in _NEEDS if not find_spec(name)]:
        raise UsageError(
            f"packages of the demo are not installed: {', '.join(missing)}",
            remedy=f"Run `{how_to_install('demo')}`",
        )

    file = folder / config.FILE_NAME
    require_target(folder.absolute(), is_folder=True)
    if file.exists() and read_status(config.load(file), sandbox.SUBSETS).complete:
        # No server runs: a repeated request would fail.
        settings = config.load(file)
        code = carry_out(options, settings, sandbox.SUBSETS, "demo").code
        click.echo("Everything was done before: nothing was fetched or written.", err=True)
    else:
        with sandbox.serve_miniature(folder) as settings:
            code = carry_out(options, settings, sandbox.SUBSETS, "demo").code
            report = page.write(settings, sandbox.SUBSETS).path
            click.echo(f"The report, for any browser: {report}", err=True)
    show(settings, sandbox.SUBSETS, as_json)
    if code == 0 and not as_json:
        result = imperfect.evaluate(settings, sandbox.SUBSETS, folder.absolute() / "predictions")
        click.echo("\nA deliberately imperfect prediction (what is missing counts as not found):")
        click.echo(tables.numbers(result, terminal_width()))
    sys.exit(code)
