"""The command `saco doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from saco_data.cli.common import Options, json_option, print_json, subsets_argument


@click.command()
@subsets_argument
@click.option("--online", is_flag=True, help="Send one harmless request to each source.")
@json_option
@click.pass_obj
def doctor(options: Options, subsets: Sequence[str], online: bool, as_json: bool) -> None:
    """Check config, credentials, links, tools and disk, and say what to do.

    Exit 0 if nothing fails, 2 if the config cannot be read, 4 if something needs you. Example:
    saco doctor ego4d --online
    """
    from saco_data import doctor as checks
    from saco_data.model.errors import Blocked, ConfigError, UsageError
    from saco_data.report import console

    code = 0
    try:
        settings, names = options.select(subsets)
        findings = checks.examine(settings, names, online=online)
    except ConfigError as error:
        what = f"{error.item}: {error.what}"
        findings = iter([checks.Finding("config", checks.Verdict.FAIL, what, error.remedy)])
        code = UsageError.exit_code
    shown = []
    for finding in findings:
        shown.append(finding)
        if not as_json:
            console.print_finding(finding)
    failed = any(finding.verdict is checks.Verdict.FAIL for finding in shown)
    if as_json:
        content = {"checks": [finding.as_json() for finding in shown], "ok": not failed}
        print_json(content)
    sys.exit(code or (Blocked.exit_code if failed else 0))
