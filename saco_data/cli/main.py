"""The `saco` command and the one place that prints errors and chooses the exit code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saco_data.cli.common import Options
from saco_data.cli.table import TABLE

if TYPE_CHECKING:
    from saco_data.model.errors import SacoError


class Lazy(click.Group):
    """Imports a command only when it is used, so that help is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(TABLE)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in TABLE:
            return None
        module, _, attribute = TABLE[name].partition(":")
        command = getattr(importlib.import_module(f"saco_data.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.option("--config", type=click.Path(path_type=Path), help="The config file.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("-v", "--verbose", is_flag=True, help="All log messages, for bug reports.")
@click.version_option(package_name="saco-data")
@click.pass_context
def saco(context: click.Context, config: Path | None, quiet: bool, verbose: bool) -> None:
    """Prepare SA-Co/Silver for evaluation, every frame exact.

    No SUBSET means all ten. Example: saco prepare geode sav
    """
    context.obj = Options(config, quiet, verbose)
    # Its warnings about retries would break into the progress display.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    _print_logs_safely(verbose)
    if verbose:
        # These libraries log whole requests at this level, keys included.
        for name in ("botocore", "boto3", "urllib3", "asyncio", "aiohttp", "httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)


def _print_logs_safely(verbose: bool) -> None:
    """Keeps secrets and control characters out of log messages, of whichever library they are."""
    from saco_data.model.safe_logging import SafeFormatter

    if logging.lastResort is not None:  # prints warnings of libraries where no handler is set
        logging.lastResort.setFormatter(SafeFormatter())
    if verbose:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(SafeFormatter(logging.BASIC_FORMAT))
        logging.basicConfig(level=logging.DEBUG, handlers=[handler])


def main() -> None:
    """The entry point: the one place that prints errors and chooses the exit code."""
    from saco_data.cli.streams import make_patient
    from saco_data.model.errors import SacoError
    from saco_data.storage.disk_errors import describe_system_error

    make_patient()
    try:
        saco.main(prog_name="saco", standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except SacoError as error:
        code = _tell(error)
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was done is kept: run again to go on.", err=True)
        code = 130
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        described = describe_system_error(error)
        if described is None:
            raise
        code = _tell(described)
    try:
        sys.stdout.flush()
    except OSError as error:
        described = describe_system_error(error)
        if described is None:
            raise
        code = _tell(described)
        os._exit(code)  # what could not be written is still in the buffer
    sys.exit(code)


def _tell(error: SacoError) -> int:
    click.echo(f"error: {error}", err=True)
    return error.exit_code


if __name__ == "__main__":
    main()
