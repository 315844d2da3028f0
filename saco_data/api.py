"""What a researcher imports: `import saco_data as saco`, then `saco.prepare(...)`.

Functions return records, print nothing, and raise the errors of `saco_data.model.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saco_data.catalog import registry
from saco_data.config import settings as config
from saco_data.config.settings import Settings
from saco_data.dataset.dataset import Dataset, SubsetFiles
from saco_data.engine import forecast, session
from saco_data.engine import status as statuses
from saco_data.engine.events import Reporter, Silent, Stages
from saco_data.engine.forecast import Table
from saco_data.engine.session import Finished
from saco_data.engine.status import Status
from saco_data.model.errors import UsageError
from saco_data.state.ledger import Ledger

Config = str | Path | Settings | None
Names = str | Sequence[str]


def read_config(source: Config = None) -> Settings:
    """The checked config: from a file, or the one that the command line would use (None).

    Raises UsageError where there is none, and ConfigError with file, line, key and remedy.
    """
    if isinstance(source, Settings):
        return source
    return config.load(Path(source) if source is not None else config.find())


def load(source: Config = None) -> Dataset:
    """A prepared copy: `load("data/silver")["nga"]` holds the image-NPs of a subset.

    `source`: the folder of a copy (it has `images/` and `annotations/`), else a config. Subsets
    whose annotations for evaluation are not there yet are left out. Nothing is read before it is
    needed. Raises UsageError where there is no subset at all.
    """
    if isinstance(source, str | Path) and Path(source).is_dir():
        root = Path(source)
        found = {
            each.id: SubsetFiles(
                root / "annotations" / each.annotations.file, root / "images" / each.name
            )
            for each in registry.builtin().manifests
        }
        item = str(root)
    else:
        settings = read_config(source)
        subsets = [settings.subset(name) for name in settings.registry.ids]
        found = {each.id: SubsetFiles(each.derived, each.images) for each in subsets}
        item = str(settings.silver)
    there = {name: files for name, files in found.items() if files.annotations.is_file()}
    if not there:
        raise UsageError(
            "holds no prepared subset", item=item, remedy="Run `saco prepare`, or name its folder"
        )
    return Dataset(there)


def plan(source: Config = None, subsets: Names = ()) -> Table:
    """What `prepare` would do: a line for each subset (no name: Silver's ten), and the disks.

    Bytes and seconds; nothing is downloaded or written. Raises ConfigError, UsageError.
    """
    settings = read_config(source)
    return forecast.make(settings, settings.registry.select(_as_list(subsets)))


def prepare(
    source: Config = None,
    subsets: Names = (),
    *,
    confirm_gone: bool = False,
    stages: Stages | None = None,
    reporter: Reporter | None = None,
) -> Finished:
    """Prepares subsets as `saco prepare` does; `.code` is the exit code that it would end with.

    `reporter` is told of each event; by default nobody is. `confirm_gone` and `stages` as on the
    command line. Raises LockHeld, DiskFull, OutputError, Interrupted, ConfigError, UsageError.
    """
    settings = read_config(source)
    names = settings.registry.select(_as_list(subsets))
    return session.go(
        settings, names, "prepare", reporter or Silent(), stages=stages, confirm_gone=confirm_gone
    )


def status(source: Config = None, subsets: Names = ()) -> Status:
    """Counts by state and reason, from the ledger alone. Raises ConfigError, UsageError."""
    settings = read_config(source)
    with Ledger(settings.state, read_only=True) as ledger:
        return statuses.read(settings, ledger, settings.registry.select(_as_list(subsets)))


def _as_list(subsets: Names) -> Sequence[str]:
    return [subsets] if isinstance(subsets, str) else subsets
