"""Shared by commands: options, selection of subsets, running, showing results."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from saco_data.cli.shared_options import complete_subset

if TYPE_CHECKING:
    from saco_data.config.settings import Settings
    from saco_data.engine.events import Reporter, Result, Stages
    from saco_data.engine.session import Finished
    from saco_data.engine.status import Status
    from saco_data.report.console import Lines
    from saco_data.report.progress import Bars


class Target(click.Path):
    """A place that the command writes; refused at once where nothing can be written."""

    def __init__(self, *, is_folder: bool = False) -> None:
        super().__init__(file_okay=not is_folder, dir_okay=is_folder)
        self.is_folder = is_folder

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The absolute path. Raises OutputError."""
        from saco_data.storage.targets import require_target

        if not str(value):
            self.fail("is empty", param, ctx)
        path = Path(value).absolute()
        require_target(path, is_folder=self.is_folder)
        return path


@dataclass
class Options:
    """The options that all commands share."""

    config: Path | None
    quiet: bool
    verbose: bool
    jobs: int | None = None
    as_json: bool = False
    _close_display: Callable[[], None] = lambda: None

    def settings(self) -> Settings:
        """The config, with what the command line says instead. Raises ConfigError, UsageError."""
        from saco_data.config import settings as config

        settings = config.load(self.config or config.find())
        return config.override(settings, {"jobs": self.jobs}) if self.jobs else settings

    def select(self, names: Sequence[str]) -> tuple[Settings, tuple[str, ...]]:
        """The config, and the ids of the named subsets. Raises UsageError, ConfigError."""
        settings = self.settings()
        return settings, settings.registry.select(names)

    def reporter(self, settings: Settings) -> Reporter:
        """A reporter that writes to the log and shows bars on a terminal, lines elsewhere.

        Lines with `--verbose` too, whose messages would break the bars.
        """
        display: Bars | Lines
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not self._plain:
            from saco_data.report.progress import Bars

            display = Bars()
            display.wait("reading annotations and ledger")
        else:
            from saco_data.report.console import Lines

            display = Lines(quiet=self.quiet)
        # Restores the screen at every end of the command, also after Ctrl-C.
        context = click.get_current_context()
        context.call_on_close(display.close)
        self._close_display = display.close
        from saco_data.report.log import Log, Logged

        logged = Logged(display, Log(settings.state))
        if not self.verbose:  # `--verbose` shows all warnings anyway
            from saco_data.report.warnings_to_notes import Warnings

            warnings = Warnings(logged)
            warnings.listen()
            context.call_on_close(warnings.close)
        from saco_data.config.settings import exposed_secrets

        if exposed := exposed_secrets(settings):
            logged.note(
                "",
                f"warning: {settings.file}: others on this machine can read it, and it holds "
                f"{', '.join(exposed)}. Run `chmod 600 {settings.file}`, or use the environment",
            )
        return logged

    def end_progress(self) -> None:
        """Removes progress from the screen, so that results can be printed."""
        self._close_display()

    @property
    def _plain(self) -> bool:
        return self.quiet or self.verbose


subsets_argument = click.argument(
    "subsets", nargs=-1, metavar="[SUBSET]...", shell_complete=complete_subset
)
only_subsets_option = click.option(
    "--subset",
    "subsets",
    multiple=True,
    shell_complete=complete_subset,
    help="Only this subset; may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


confirm_gone_option = click.option(
    "--confirm-gone",
    is_flag=True,
    help="Prune gone files without the second look that gone_confirm_hours asks for.",
)


def refuse_idle(names: Sequence[str], why: str) -> None:
    """Raises UsageError where one of these options of the command is given: it has no effect."""
    from click.core import ParameterSource

    from saco_data.model.errors import UsageError

    context = click.get_current_context()
    for each in context.command.params:
        source = context.get_parameter_source(str(each.name))
        if each.name in names and source is ParameterSource.COMMANDLINE:
            raise UsageError(f"{each.opts[0]} has no effect {why}", remedy="Leave it out")


def terminal_width() -> int | None:
    """The columns of the terminal on stdout; None where it is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_json(content: Mapping[str, Any]) -> None:
    """Prints an object on stdout, with the version of its keys."""
    click.echo(json.dumps({"version": 1, **content}, indent=1))


def carry_out(
    options: Options,
    settings: Settings,
    subsets: Sequence[str],
    command: str,
    stages: Stages | None = None,
    *,
    confirm_gone: bool = False,
) -> Finished:
    """Runs the stages of a command; returns how the run ended. Raises as `session.run`."""
    from saco_data.engine import session

    reporter = options.reporter(settings)
    with tell_if_stopped(settings, subsets, command):
        finished = session.go(
            settings, subsets, command, reporter, stages=stages, confirm_gone=confirm_gone
        )
    options.end_progress()
    return finished


def _end_progress() -> None:
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(context.obj, Options):
        context.obj.end_progress()


def conclude(
    settings: Settings,
    subsets: Sequence[str],
    command: str,
    code: int,
    results: Mapping[str, Result],
) -> None:
    """Prints the last line of a run on stderr and logs it: enough for a cron mail."""
    from saco_data.cli.last_line import last_line
    from saco_data.report import reasons
    from saco_data.report.console import readable
    from saco_data.report.log import Log

    _end_progress()
    sys.stdout.flush()
    unfinished = reasons.read(settings, subsets)
    status = read_status(settings, subsets)
    line = readable("", last_line(command, code, status, results, unfinished))
    click.echo(line, err=True)
    Log(settings.state).note("", line)


@contextlib.contextmanager
def tell_if_stopped(settings: Settings, subsets: Sequence[str], command: str) -> Iterator[None]:
    """Within the context, a run that Ctrl-C or SIGTERM stops says what it made: see `conclude`."""
    from saco_data.model.errors import Interrupted

    try:
        yield
    except Interrupted as stopped:
        conclude(settings, subsets, command, stopped.exit_code, stopped.results)
        raise


def read_status(settings: Settings, subsets: Sequence[str]) -> Status:
    """The status of some subsets, from the ledger."""
    from saco_data.engine import status
    from saco_data.state.ledger import Ledger

    with Ledger(settings.state, read_only=True) as ledger:
        return status.read(settings, ledger, subsets)


def show(
    settings: Settings, subsets: Sequence[str], as_json: bool, *, evaluator: bool = True
) -> None:
    """Prints the status of some subsets, and with `evaluator` the lines for evaluation."""
    from saco_data.report import console

    _end_progress()
    status = read_status(settings, subsets)
    if as_json:
        print_json(status.as_json())
        return
    console.print_status(status)
    if evaluator:
        console.print_evaluator(settings, status)
    else:
        console.print_waits(status)
