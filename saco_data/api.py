"""What a researcher imports: `import saco_data as saco`, then `saco.prepare(...)`.

Functions return records, print nothing, and raise the errors of `saco_data.model.errors`. Modules
that only some of them need are imported there: `load` is quick without the engine.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from saco_data.catalog import registry
from saco_data.config import settings as config
from saco_data.config.granted import processors
from saco_data.config.settings import Settings
from saco_data.config.yaml_text import is_bucket
from saco_data.dataset.dataset import Dataset, Subset, SubsetFiles, files_of
from saco_data.dataset.predictions import Predictions
from saco_data.dataset.remote import fetch_annotations, open_remote
from saco_data.model.errors import UsageError
from saco_data.storage.store import open_store

if TYPE_CHECKING:
    from saco_data.engine.events import Reporter, Stages
    from saco_data.engine.forecast import Table
    from saco_data.engine.session import Finished
    from saco_data.engine.status import Status
    from saco_data.evaluation.results import Result

__all__ = [
    "Predictions",
    "evaluate",
    "load",
    "plan",
    "prepare",
    "read_config",
    "status",
]

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

    `load("data/sa-v")["sa-v/val"]` holds videos: their frames, objects and masks.

    `source`: the folder of a copy (it has `images/` and `annotations/`), the bucket where
    `saco push` published one (`s3://`, `gs://`), else a config. Pictures of a bucket are fetched
    when they are first needed, into a cache; its subsets of videos are left out.

    Subsets whose annotations for evaluation are not there yet are left out; one that lacks pictures
    holds only the items whose picture is there, and `saco.evaluate` says so. Nothing is read before
    it is needed. Raises UsageError where there is no subset at all.
    """
    if isinstance(source, str) and is_bucket(source):
        found, item = _find_published(source), source
    elif isinstance(source, str | Path) and Path(source).is_dir():
        root = Path(source)
        found = {
            each.id: files_of(
                each,
                root / "annotations" / each.annotations.file,
                root / each.products_folder,
            )
            for each in registry.builtin().manifests
        }
        item = str(root)
    elif isinstance(source, str | Path) and not Path(source).exists():
        raise UsageError(
            "there is no such folder",
            item=str(Path(source).absolute()),
            remedy="Name the folder of a prepared copy (it has images/ and annotations/), "
            "or a config",
        )
    else:
        settings = read_config(source)
        subsets = [settings.subset(name) for name in settings.registry.ids]
        subsets = [each for each in subsets if not each.bucket]
        found = {each.id: files_of(each.manifest, each.derived, each.images) for each in subsets}
        item = settings.bucket or str(settings.silver)
        if settings.bucket:
            found = {**_find_published(settings.bucket), **found}
    there = {name: files for name, files in found.items() if files.annotations.exists()}
    if not there:
        raise UsageError(
            "holds no prepared subset",
            item=item,
            remedy="Run `saco prepare`, or name its folder; "
            "of a collection of your own, its config",
        )
    return Dataset(there)


def _find_published(place: str) -> dict[str, SubsetFiles]:
    """The subsets that are published in a bucket and have an annotation file."""
    from saco_data.engine import published

    place = place.rstrip("/")
    found = {}
    for each in published.find_inventories(open_store(place), registry.builtin().ids):
        name = each.header.subset
        with contextlib.suppress(FileNotFoundError):
            annotations, whole = fetch_annotations(place, name)
            remote = open_remote(place, name)
            found[name] = SubsetFiles(annotations, remote.folder, whole=whole, remote=remote)
    return found


def plan(source: Config = None, subsets: Names = ()) -> Table:
    """What `prepare` would do: a line for each subset (no name: Silver's ten), and the disks.

    Bytes and seconds; nothing is downloaded or written. Raises ConfigError, UsageError.
    """
    from saco_data.engine import forecast

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
    from saco_data.engine import session
    from saco_data.engine.events import Silent

    settings = read_config(source)
    names = settings.registry.select(_as_list(subsets))
    return session.go(
        settings, names, "prepare", reporter or Silent(), stages=stages, confirm_gone=confirm_gone
    )


def status(source: Config = None, subsets: Names = ()) -> Status:
    """Counts by state and reason, from the ledger alone. Raises ConfigError, UsageError.

    `source`: a config, or the bucket or folder where `saco push` published a copy.
    """
    from saco_data.engine import published
    from saco_data.engine import status as statuses
    from saco_data.state.ledger import Ledger

    if _is_place(source):
        names = registry.builtin().select_or_all(_as_list(subsets))
        return published.read_status(open_store(source), names)
    settings = read_config(source)
    with Ledger(settings.state, read_only=True) as ledger:
        return statuses.read(settings, ledger, settings.registry.select(_as_list(subsets)))


def evaluate(
    predictions: str | Path,
    ground_truth: Subset | str | Path | Sequence[str | Path],
    *,
    iou: str = "segm",
    ran: str | Path | None = None,
    lenient: bool = False,
    partial: bool = False,
    seed: int = 0,
    jobs: int | None = None,
) -> Result:
    """The official numbers of a prediction file, with coverage and intervals, as fractions.

    `ground_truth`: a subset of a copy, an annotation file, or three of them (Gold). `ran`: a file
    with the image ids that the model ran on; by default the one that `Predictions` wrote. The
    other parameters are those of `saco eval`. `jobs`: processes; by default one for each
    processor, and only one where this process has several threads, which forked ones disturb.
    Raises PredictionError, AnnotationError, UsageError.
    """
    from saco_data.evaluation import files as evaluations
    from saco_data.evaluation import naming

    copy = None
    if isinstance(ground_truth, Subset):
        files = ground_truth.files
        paths = [files.whole or files.annotations]
        copy = files.annotations if files.whole else None
    elif isinstance(ground_truth, str | Path):
        paths = [Path(ground_truth)]
    elif isinstance(ground_truth, Dataset):
        raise UsageError(
            "a whole copy is no ground truth of a prediction file",
            item=str(predictions),
            remedy=f"Give one of its subsets: [{min(ground_truth)!r}], for example",
        )
    else:
        paths = [Path(each) for each in ground_truth]
    if not isinstance(ground_truth, Subset):
        naming.require_files(paths)
    manifest = naming.of_annotation_file(paths[0], registry.builtin().manifests)
    name = ground_truth.name if isinstance(ground_truth, Subset) else None
    task = evaluations.Task(
        name or (manifest.id if manifest else paths[0].stem),
        Path(predictions),
        tuple(paths),
        copy,
        published=manifest.annotations.evaluated if manifest else None,
        ran=Path(ran) if ran is not None else None,
    )
    if jobs is None:
        jobs = processors() if threading.active_count() == 1 else 1
    how = evaluations.Options(iou, lenient, partial, seed=seed, jobs=jobs)
    return evaluations.evaluate_files([task], how)


def _is_place(source: Config) -> TypeGuard[str | Path]:
    """Whether it is a bucket or a folder, where a copy may be, and not a config."""
    return isinstance(source, str | Path) and (is_bucket(source) or Path(source).is_dir())


def _as_list(subsets: Names) -> Sequence[str]:
    return [subsets] if isinstance(subsets, str) else subsets
