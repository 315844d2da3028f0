"""The six official scripts: official names, flags and folders, with this package's engine.

Intended differences: `_original.json` is never modified, only gone files are pruned, the exit codes
are those of `saco`, and finished work is not repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from saco_data.catalog import registry
from saco_data.catalog.manifest import DEFAULT_COLLECTION
from saco_data.cli.prune_in_place import prune_in_place
from saco_data.config import settings as config
from saco_data.config.settings import Settings
from saco_data.config.subset import Places
from saco_data.dataset.index import Index
from saco_data.engine import session
from saco_data.engine.events import Stages
from saco_data.model.errors import SacoError, UsageError
from saco_data.model.records import Product
from saco_data.report import reasons
from saco_data.report.console import Lines
from saco_data.report.log import Log, Logged
from saco_data.storage import untrusted_json


def download_videos() -> None:
    """`python download_videos.py {droid,sav,ego4d,yt1b}`"""
    _exit_with(lambda: _videos(Stages(process=False)))


def extract_frames() -> None:
    """`python extract_frames.py {droid,sav,ego4d,yt1b}`"""
    _exit_with(lambda: _videos(Stages(fetch=False)))


def preprocess() -> None:
    """`python preprocess_silver_geode_bdd100k_food_rec.py`"""
    _exit_with(_preprocess)


def download_nga() -> None:
    """`python download_preprocess_nga.py`"""
    _exit_with(_nga)


def download_inaturalist() -> None:
    """`python download_inaturalist.py`"""
    _exit_with(_inaturalist)


def download_fathomnet() -> None:
    """`python download_fathomnet.py`"""
    _exit_with(_fathomnet)


def _frame_subsets() -> list[str]:
    silver = registry.builtin().collections[DEFAULT_COLLECTION]
    return [manifest.id for manifest in silver.manifests if manifest.frames]


def _exit_with(work: Callable[[], int]) -> None:
    try:
        code = work()
    except SacoError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


def _videos(stages: Stages) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset_name", choices=_frame_subsets())
    subset: str = parser.parse_args().dataset_name
    settings = config.load(config.find())
    code = _run(settings, subset, stages=stages)
    prune_in_place(settings, subset)
    return code


def _run(
    settings: Settings,
    subset: str,
    *,
    stages: Stages | None = None,
    indices: Mapping[str, Index] | None = None,
) -> int:
    """Runs one subset, then lists the reasons of files that are not done; returns the exit code."""
    command = Path(sys.argv[0]).stem
    reporter = Logged(Lines(), Log(settings.state))
    code = session.run(settings, [subset], command, reporter, stages=stages, indices=indices)
    unfinished = reasons.read(settings, [subset])
    # After `download_videos.py`, frames that are still to be made are no trouble.
    if shown := [each for each in unfinished if code or each.examples]:
        reasons.show(shown, sys.stderr)
    return code


def _preprocess() -> int:
    parser = _image_parser(annotations=True, raw=True)
    parser.add_argument("--dataset_name", required=True, choices=("geode", "bdd100k", "food_rec"))
    options = parser.parse_args()
    raw = {f"{options.dataset_name}_raw": str(options.raw_images_folder.absolute())}
    return _run_images(options.dataset_name, options, raw=raw)


def _nga() -> int:
    options = _image_parser(annotations=True, raw=True).parse_args()
    return _run_images("nga", options)


def _inaturalist() -> int:
    parser = _image_parser(raw=True)
    parser.add_argument("--subset-json", type=Path, help="name mapping; default: the official one")
    parser.add_argument("--archive-url", help="default: the public archive")
    options = parser.parse_args()
    keys: dict[str, Any] = {}
    if options.archive_url:
        keys["inaturalist_raw"] = options.archive_url
    if options.subset_json:
        keys["endpoints"] = {"inaturalist_mapping": str(options.subset_json.absolute())}
    settings = _settings("inaturalist", options, keys)
    from saco_data.sources.inaturalist import InaturalistSource

    names = InaturalistSource(settings.subset("inaturalist")).mapping()
    return _run_list(settings, "inaturalist", {name: Product(name, 0, 0) for name in names})


def _fathomnet() -> int:
    parser = _image_parser()
    parser.add_argument(
        "--image-uuids", type=Path, help="JSON list; default: the annotation file's"
    )
    parser.add_argument("--num-procs", type=_parse_processes, help="images at a time")
    options = parser.parse_args()
    keys: dict[str, Any] = {}
    if options.num_procs is not None:
        keys["limits"] = {"fathomnet": {"concurrency": options.num_procs}}
    settings = _settings("fathomnet", options, keys)
    if not options.image_uuids:
        return _run_images("fathomnet", options, raw=keys)
    from saco_data.sources.fathomnet import FathomnetSource

    uuids = _read_names(options.image_uuids)
    names = FathomnetSource(settings.subset("fathomnet")).names(uuids)
    return _run_list(settings, "fathomnet", {name: Product(name, 0, 0) for name in names})


def _parse_processes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 256")
    return int(text)


def _read_names(path: Path) -> list[str]:
    try:
        content = untrusted_json.parse(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot be read ({error})", item=str(path), remedy="Give a JSON list of UUIDs"
        ) from error
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise UsageError("is not a JSON list of names", item=str(path), remedy="Correct the file")
    return content


def _image_parser(*, annotations: bool = False, raw: bool = False) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    if annotations:
        parser.add_argument("--annotation_file", type=Path, required=True)
    if raw:
        parser.add_argument("--raw_images_folder", type=Path, required=True)
    parser.add_argument("--processed_images_folder", type=Path, required=True)
    return parser


def _settings(subset: str, options: argparse.Namespace, keys: Mapping[str, Any]) -> Settings:
    """The config, if there is one, with the folders of the flags; state is kept beside them."""
    processed: Path = options.processed_images_folder.absolute()
    raw: Path | None = getattr(options, "raw_images_folder", None)
    annotation_file: Path | None = getattr(options, "annotation_file", None)
    try:
        file = config.find()
    except UsageError:
        base = config.parse("")
    else:
        base = config.load(file)
    changed = {
        **keys,
        "silver_path": str(processed / ".saco-data"),
        f"{subset}_path": str((raw or processed / ".saco-data").absolute()),
    }
    settings = config.override(base, changed)
    places = Places(
        annotation_file=annotation_file.absolute() if annotation_file else None,
        raw_folder=raw.absolute() if raw and f"{subset}_raw" not in keys else None,
        images=processed,
    )
    return replace(settings, places=places)


def _run_images(
    subset: str, options: argparse.Namespace, *, raw: Mapping[str, Any] | None = None
) -> int:
    return _run(_settings(subset, options, raw or {}), subset)


def _run_list(settings: Settings, subset: str, products: dict[str, Product]) -> int:
    """Prepares files from a list: without known sizes, and without pruning."""
    digest = hashlib.sha256("\n".join(products).encode()).hexdigest()
    index = Index(settings.subset(subset).images, digest, products, len(products), 0)
    return _run(settings, subset, indices={subset: index})
