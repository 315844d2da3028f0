"""`saco clicks`: prompts for promptable models."""

from __future__ import annotations

from pathlib import Path

import click

from saco_data.cli.common import Options, Target, json_option, print_json
from saco_data.cli.shared_options import complete_subset


@click.command()
@click.argument("subset", shell_complete=complete_subset)
@click.option("--to", required=True, type=Target(), metavar="FILE", help="The file of prompts.")
@json_option
@click.pass_obj
def clicks(options: Options, subset: str, to: Path, as_json: bool) -> None:
    """Write the first click and the box of each mask, for promptable models.

    The click is where the mask is thickest, by the rule of SAM 2; of a video, each object in the
    first frame that shows it. Example: saco clicks nga --to nga-clicks.jsonl
    """
    from saco_data import api
    from saco_data.dataset.clicks import write
    from saco_data.model.errors import UsageError

    settings = options.settings()
    name = settings.registry.find(subset).id
    dataset = api.load(settings)
    if name not in dataset:
        raise UsageError("is not prepared", item=name, remedy=f"Run `saco prepare {name}` first")
    done = write(dataset[name], to)
    if as_json:
        print_json({"path": str(done.path), "prompts": done.prompts, "empty": done.empty})
        return
    left_out = f", {done.empty} masks without a pixel left out" if done.empty else ""
    click.echo(f"{name}: {done.prompts} prompts{left_out}")
    click.echo(f"written to {done.path}", err=True)
