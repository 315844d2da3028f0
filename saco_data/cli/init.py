"""The command `saco init`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from saco_data.cli.common import Options, json_option, print_json

# A question for each key that depends on what the user has, in the order of the config.
_QUESTIONS = {
    "path_annotations": "Folder of the downloaded annotation files",
    "silver_path": "Folder of the prepared copy",
    "geode_raw": "GeoDE: a folder, an archive or a URL",
    "bdd100k_raw": "BDD100K: a folder, an archive or a URL",
    "food_rec_raw": "Food Recognition: a folder, an archive or a URL",
    "inaturalist_raw": "iNaturalist 2017, if you have it: a folder or an archive",
    "sav_links_file": "SA-V: the links file",
    "cookies_path": "YouTube: a file of cookies",
}


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for key, question in reversed(_QUESTIONS.items()):
        command = click.option(f"--{key.replace('_', '-')}", key, help=f"{question}.")(command)
    return command


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@_options
@click.option(
    "--remove-videos", is_flag=True, help="Remove each video once its frames are done: less disk."
)
@json_option
@click.pass_obj
def init(
    options: Options,
    /,
    folder: Path,
    remove_videos: bool,
    as_json: bool,
    **answers: str | None,
) -> None:
    """Write a commented config for what you have.

    Asks on a terminal; elsewhere, and where an option is given, it takes the options. Never
    replaces a config. Example: saco init --geode-raw ~/downloads/geode.zip
    """
    from saco_data.config import settings as config
    from saco_data.config import template
    from saco_data.model.errors import UsageError
    from saco_data.storage.files import write_atomic
    from saco_data.storage.targets import require_target

    file = folder / config.FILE_NAME
    require_target(file.absolute())
    if file.exists() or file.is_symlink():
        raise UsageError(
            f"{file} is there already", remedy="Change it by hand, or name another folder"
        )
    given: dict[str, Any] = {key: value for key, value in answers.items() if value}
    if not given and not remove_videos and sys.stdin.isatty() and not options.quiet:
        given, remove_videos = _ask(folder)
    for key, value in given.items():
        _require(folder, key, value)
    if remove_videos:
        given |= {key: True for key in config.subset_keys() if key.startswith("remove_downloaded_")}
    text = template.fill(template.default(), given)
    config.parse(text, file.absolute())
    write_atomic(file, text.encode())
    if as_json:
        print_json({"config": str(file)})
        return
    click.echo(str(file))
    named = "" if file.parent.absolute() == Path.cwd() else f"--config {file} "
    click.echo(
        f"Next: `saco {named}doctor` says what is missing, `saco {named}plan` what a run takes,"
        f" `saco {named}prepare` does it.",
        err=True,
    )


def _ask(folder: Path) -> tuple[dict[str, str], bool]:
    from saco_data.model.errors import UsageError

    click.echo("Return keeps the value in brackets; leave empty what you do not have.", err=True)
    defaults = {"path_annotations": "data/annotations", "silver_path": "data/silver"}
    given = {}
    for key, question in _QUESTIONS.items():
        while True:
            value = click.prompt(
                question, default=defaults.get(key, ""), show_default=key in defaults, err=True
            ).strip()
            try:
                if value:
                    _require(folder, key, value)
            except UsageError as error:
                click.echo(f"{error}", err=True)
                continue
            break
        if value and value != defaults.get(key):
            given[key] = value
    return given, click.confirm(
        "Remove each video once its frames are done (less disk)?", default=False, err=True
    )


def _require(folder: Path, key: str, value: str) -> None:
    """Checks that a named file is there. Raises UsageError."""
    from saco_data.model.errors import UsageError

    if key in ("path_annotations", "silver_path") or "://" in value or "$" in value:
        return
    # As the config reads it: relative to its folder, `~` expanded.
    path = folder / Path(value).expanduser()
    if not path.exists():
        raise UsageError(
            f"{key}: {path} is not there",
            remedy="Give the path of a file or folder that is there, relative to the config",
        )
