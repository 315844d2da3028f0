"""The `saco` command and the one place that prints errors and chooses the exit code."""

from __future__ import annotations

import errno
import importlib
import logging
import sys
from pathlib import Path

import click

from saco_data.cli.common import Options
from saco_data.cli.table import TABLE


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
    from saco_data.model.errors import DiskFull, SacoError

    try:
        saco.main(prog_name="saco", standalone_mode=False)
    except SacoError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # Our own files raise DiskFull: this is redirected output.
        click.echo("error: no space left for the output. Free some and run again", err=True)
        sys.exit(DiskFull.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was done is kept: run again to go on.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
