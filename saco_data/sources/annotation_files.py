"""Gets annotation files into `path_annotations`, checks them, and records their origin.

An existing file that differs is kept under a name with its digest, and the user is told.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saco_data.config.subset import SubsetConfig
from saco_data.config.yaml_text import without_user
from saco_data.dataset.index import read
from saco_data.model.errors import AnnotationError, Blocked, Incomplete
from saco_data.model.outside import one_line
from saco_data.model.reasons import Reason
from saco_data.storage import files, folders
from saco_data.storage.folders import nearest_existing

if TYPE_CHECKING:
    from saco_data.transports.services.hugging_face import Hub


NOTE = ".saco-annotations.json"
STAGING = folders.STAGING


@dataclass(frozen=True)
class Fetched:
    """An installed annotation file. `kept_as`: the new path of an earlier file that differed."""

    file: str
    state: Literal["new", "unchanged", "replaced"]
    image_nps: int
    masks: int
    files: int
    sha256: str
    origin: str
    revision: str = ""
    kept_as: str = ""
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return asdict(self)


class Annotations:
    """Gets annotation files from the hub, a folder, or a file that another client downloaded."""

    def __init__(self) -> None:
        self._hubs: dict[str, Hub] = {}

    def fetch(self, config: SubsetConfig) -> Fetched:
        """Fetches a file from the address in the manifest, else from the hub.

        Raises as `from_web` and `from_hub` do.
        """
        is_on_web = "annotations" in config.manifest.endpoints
        return self.from_web(config) if is_on_web else self.from_hub(config)

    def from_web(self, config: SubsetConfig) -> Fetched:
        """Fetches a file from the address in the manifest or its override in the config.

        Raises Blocked, Failure, AnnotationError, DiskFull, OutputError.
        """
        from saco_data.sources import documents
        from saco_data.transports.base import Expect, Policy
        from saco_data.transports.http import Http

        url = config.endpoint("annotations")
        staging = config.downloaded.parent / STAGING
        to = staging / config.manifest.annotations.file
        try:
            staging.mkdir(parents=True, exist_ok=True)
            with Http(Policy()) as http:
                remedy = config.endpoint_remedy("annotations")
                documents.fetch(http, url, to, lambda path: None, Expect(), remedy)
            return self.install(config, to, without_user(url.partition("?")[0]))
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def from_hub(self, config: SubsetConfig) -> Fetched:
        """Fetches a file from the Hugging Face Hub, unless its digest there is the present one.

        Raises Blocked, Incomplete, AnnotationError, DiskFull, OutputError.
        """
        from saco_data.transports.services.hugging_face import matches

        hub = self._hub(config)
        name = config.manifest.annotations.file
        remote = hub.look(name)
        path = config.pristine
        origin = f"{hub.page}/blob/{remote.revision}/{name}"
        if path.is_file() and matches(path, remote):
            return self.install(config, path, origin, remote.revision)
        staging = config.downloaded.parent / STAGING
        try:
            got = hub.fetch(name, remote, staging)
            return self.install(config, got, origin, remote.revision)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _hub(self, config: SubsetConfig) -> Hub:
        from saco_data.transports.services.hugging_face import Hub

        dataset = config.hub_dataset
        if not dataset:
            raise Blocked(
                "the annotation file is not on the Hugging Face Hub",
                item=config.id,
                remedy=f"Put it at {config.downloaded}",
                reason=Reason.ANNOTATIONS,
            )
        if dataset not in self._hubs:
            token, endpoint = config.keys.hf_token, config.keys.endpoints.get("hub")
            secret = token.get_secret_value() if token else None
            self._hubs[dataset] = Hub(dataset, endpoint.rstrip("/") if endpoint else None, secret)
        return self._hubs[dataset]

    def from_folder(self, config: SubsetConfig, folder: Path) -> Fetched:
        """Copies a file from a local folder. Raises AnnotationError, DiskFull, OutputError."""
        path = folder / config.manifest.annotations.file
        original = path.with_name(f"{path.stem}_original.json")
        source = original if original.is_file() else path
        if not source.exists():
            raise AnnotationError(
                f"the annotation file is missing: the folder has no {path.name}",
                item=str(folder),
                remedy="Name the folder that has it with --from",
            )
        return self.install(config, source, str(source))

    def ensure(self, config: SubsetConfig) -> Fetched | None:
        """Fetches a missing file; returns None if the file exists.

        Raises as `fetch`, with a message that names the missing file.
        """
        path = config.pristine
        if path.exists():
            return None
        try:
            return self.fetch(config)
        except (Blocked, Incomplete) as error:
            # A copy: a closed hub raises the same error for each subset.
            told = copy.copy(error)
            told.what, told.item = f"the annotation file is missing: {error.what}", str(path)
            if isinstance(error, Incomplete) and (where := _find_mistype(config)):
                raise AnnotationError(
                    f"the annotation file is missing{where}",
                    item=str(path),
                    remedy=f"Correct {_key_of(config)}; or, to download the files: {error.what}. "
                    f"{error.remedy}",
                ) from error
            raise told from error

    def install(
        self, config: SubsetConfig, source: Path, origin: str, revision: str = ""
    ) -> Fetched:
        """Checks a file and copies it to its official name.

        Raises AnnotationError, DiskFull, OutputError.
        """
        index = read(source, config.manifest)
        path = config.pristine
        state: Literal["new", "unchanged", "replaced"] = "new"
        kept_as = ""
        if path.is_file():
            before = index.sha256 if path == source else files.sha256_of(path)
            state = "unchanged" if before == index.sha256 else "replaced"
            if state == "replaced":
                renamed = path.with_name(f"{path.stem}.{before[:8]}.json")
                files.copy_if_changed(path, renamed)
                kept_as = str(renamed)
        if state != "unchanged":
            files.copy_if_changed(source, path)
        fetched = Fetched(
            str(path),
            state,
            index.image_nps,
            index.masks,
            len(index.products),
            index.sha256,
            origin,
            revision,
            kept_as,
            index.warnings,
        )
        self._write_note(config, fetched)
        return fetched

    def _write_note(self, config: SubsetConfig, fetched: Fetched) -> None:
        path = config.downloaded.parent / NOTE
        known = read_notes(path)
        name = Path(fetched.file).name
        before = known.get(name, {})
        if before.get("sha256") == fetched.sha256 and not fetched.revision:
            return  # keep the first origin of the same content
        known[name] = {
            "sha256": fetched.sha256,
            "revision": fetched.revision,
            "origin": fetched.origin,
        }
        files.write_if_changed(path, json.dumps(known, indent=1, sort_keys=True).encode())


def _key_of(config: SubsetConfig) -> str:
    given = config.settings.places.annotation_file
    return "--annotation_file" if given else "path_annotations in the config"


def _find_mistype(config: SubsetConfig) -> str:
    """What suggests that the path of the annotations is mistyped, in words; "" if nothing does."""
    if config.settings.places.annotation_file:
        return ", and the command names it"
    folder = config.downloaded.parent
    if folder.is_dir():
        others = sorted(each.name for each in folder.glob("*.json"))[:3]
        return f"; the folder holds {', '.join(map(one_line, others))}" if others else ""
    there = nearest_existing(folder)
    missing = folder.relative_to(there).parts[0]
    with contextlib.suppress(OSError):
        names = [each.name for each in there.iterdir() if each.is_dir()]
        if near := difflib.get_close_matches(missing, names, n=1, cutoff=0.75):
            return f"; {there} has no {missing}, but {near[0]}"
    written = Path(config.keys.path_annotations)
    if written.is_absolute() and there != folder.parent:
        return f"; {there} has no {missing}"
    return ""


def read_notes(path: Path) -> dict[str, dict[str, str]]:
    """The notes on annotation files by file name: `sha256`, `revision`, `origin`."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def revision_of(path: Path, sha256: str) -> str:
    """The revision of an annotation file on the hub; "" if it is not known."""
    known = read_notes(path.parent / NOTE).get(path.name, {})
    return str(known.get("revision", "")) if known.get("sha256") == sha256 else ""
