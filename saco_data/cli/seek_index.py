"""The command `saco seek-index`."""

from __future__ import annotations

from pathlib import Path

import click

from saco_data.cli.common import Options, Target, json_option, print_json


@click.command("seek-index")
@click.argument("subset")
@click.option("--to", required=True, type=Target(), help="The index file.")
@json_option
@click.pass_obj
def seek_index(options: Options, subset: str, to: Path, as_json: bool) -> None:
    """Write where the files of a subset are in its tar.gz.

    Reads the whole archive once, from its address or a local copy. With the index, others fetch
    only the bytes that they need. Example: saco seek-index inaturalist --to inaturalist.jsonl.gz
    """
    from saco_data.engine import seek_indexing
    from saco_data.model.errors import UsageError

    settings, names = options.select([subset])
    if len(names) > 1:
        raise UsageError("name one subset", item=subset, remedy=f"One of {', '.join(names)}")
    own = settings.subset(names[0])
    reporter = options.reporter(settings)
    done = seek_indexing.write(settings, own.id, to, lambda line: reporter.note(own.id, line))
    if as_json:
        print_json(done.as_json())
        return
    lacking = f", {done.missing} are not in it" if done.missing else ""
    click.echo(f"{done.members} files in {done.archives} archives{lacking}")
    click.echo(f"{own.seek_index_key}: {done.path}#sha256={done.sha256}")
