"""The options that stand before the command or after it, and what a shell completes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def shared_options(*, after: bool) -> list[click.Option]:
    """`--config`, `--jobs`, `-q`, `-v`; `after`: those of a command, which win."""
    how: dict[str, Any] = {"expose_value": False, "callback": _take} if after else {}
    return [
        click.Option(["--config"], type=click.Path(path_type=Path), help="The config file.", **how),
        click.Option(
            ["--jobs"],
            type=click.IntRange(1, 1024),
            metavar="N",
            help="Worker processes, instead of the config's.",
            **how,
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="No progress.", **how),
        click.Option(
            ["-v", "--verbose"], is_flag=True, help="All log messages, for bug reports.", **how
        ),
    ]


def json_option_before() -> click.Option:
    """`--json` before the command: as after it."""
    return click.Option(["--json", "as_json"], is_flag=True, help="Print JSON on stdout.")


def add_shared_options(command: click.Command) -> None:
    """Lets a command take the shared options too, and `--json` from before it."""
    if not any(each.name == "config" for each in command.params):
        own = [each for each in command.params if "--json" not in each.opts]
        last = [each for each in command.params if "--json" in each.opts]
        for each in last:
            each.callback = _json_before_or_after
        command.params = [*own, *shared_options(after=True), *last]


def _take(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value not in (None, False) and context.obj is not None:
        setattr(context.obj, str(parameter.name), value)
        if parameter.name == "verbose":
            from saco_data.cli.main import log_verbosely

            log_verbosely()
    return value


def _json_before_or_after(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    return value or (context.obj is not None and context.obj.as_json)


class AnyCase(click.Choice):  # type: ignore[type-arg]  # generic only in newer versions of click
    """One of some names, in upper or lower case; a mistyped one is answered with the nearest."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names, case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name as we write it. Raises click.BadParameter with the nearest name."""
        from saco_data.model.suggest import suggest

        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            error.nearest = suggest(str(value), self.choices)  # type: ignore[attr-defined]
            raise


def complete_subset(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of subsets and collections that begin with what is typed, in any case."""
    from click.shell_completion import CompletionItem

    from saco_data.catalog import registry
    from saco_data.config import settings as config
    from saco_data.model.errors import SacoError

    try:
        root = context.find_root().params.get("config") or context.params.get("config")
        known = config.load(root or config.find()).registry
    except SacoError:
        known = registry.builtin()
    typed = incomplete.lower()
    names = {each.id: each.title for each in known.manifests}
    names |= {name: each.facts.title for name, each in known.collections.items()}
    if "/" in typed:
        names |= {each.full_name: each.title for each in known.manifests}
    return [
        CompletionItem(name, help=title) for name, title in names.items() if name.startswith(typed)
    ]
