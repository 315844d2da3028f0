"""The `saco` command and the one place that prints errors and chooses the exit code."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from pathlib import Path

import click

from saco_data.cli.common import Options
from saco_data.cli.shared_options import add_shared_options, json_option_before, shared_options
from saco_data.cli.table import TABLE


class Lazy(click.Group):
    """Imports a command only when it is used, so that help is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(TABLE)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        name = name.lower()
        if name not in TABLE:
            return None
        module, _, attribute = TABLE[name].partition(":")
        command = getattr(importlib.import_module(f"saco_data.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        add_shared_options(command)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown command is answered with the nearest known one."""
        if arguments and self.get_command(context, arguments[0]) is None:
            name = arguments[0]
            if name.startswith("-") or context.resilient_parsing:
                return super().resolve_command(context, arguments)
            from saco_data.model.errors import UsageError
            from saco_data.model.suggest import suggest

            raise UsageError(
                f"No such command: {name!r}",
                remedy=suggest(name, TABLE) or "`saco --help` lists the commands",
            )
        return super().resolve_command(context, arguments)


@click.group(
    cls=Lazy,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="saco-data")
@click.pass_context
def saco(
    context: click.Context,
    config: Path | None,
    jobs: int | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Prepare SA-Co/Silver for evaluation, every frame exact.

    No SUBSET means all ten. Example: saco prepare geode sav
    """
    if context.invoked_subcommand is None:
        if as_json:
            from saco_data.model.errors import UsageError

            raise UsageError("Missing command", remedy="See `saco --help`")
        click.echo(context.get_help(), err=True)
        sys.exit(2)
    context.obj = Options(config, quiet, verbose, jobs, as_json)
    # Its warnings about retries would break into the progress display.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    from saco_data.model.safe_logging import SafeFormatter

    if logging.lastResort is not None:  # prints warnings of libraries where no handler is set
        logging.lastResort.setFormatter(SafeFormatter())
    if verbose:
        log_verbosely()


saco.params[:0] = [*shared_options(after=False), json_option_before()]


def log_verbosely() -> None:
    """Prints all log messages on stderr, without secrets and control characters."""
    from saco_data.model.safe_logging import SafeFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])
    # These libraries log whole requests at this level, keys included.
    for name in ("botocore", "boto3", "urllib3", "asyncio", "aiohttp", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main() -> None:
    """The entry point: the one place that prints errors and chooses the exit code."""
    from saco_data.cli.errors import tell, translate
    from saco_data.cli.streams import make_patient
    from saco_data.model.errors import SacoError
    from saco_data.storage.disk_errors import describe_system_error

    make_patient()
    # NumPy's BLAS starts a thread for each core when it is loaded, and nothing here multiplies
    # matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make up most of a short run and leave nothing to collect: look very rarely.
    gc.set_threshold(500_000, 20, 20)
    try:
        saco.main(prog_name="saco", standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except SacoError as error:
        code = tell(error)
    except click.ClickException as error:
        code = tell(translate(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was done is kept: run again to go on.", err=True)
        code = 130
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        described = describe_system_error(error)
        if described is None:
            raise
        code = tell(described)
    try:
        sys.stdout.flush()
    except OSError as error:
        described = describe_system_error(error)
        if described is None:
            raise
        code = tell(described)
        os._exit(code)  # what could not be written is still in the buffer
    sys.exit(code)
