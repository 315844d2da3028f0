"""Gets annotation files into `path_annotations`: checked, never lost, and it is noted whence.

A file that is already there and differs is not overwritten: it is set aside under a name with its
digest, and the message says so.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saco_data.config.settings import Settings
from saco_data.dataset.index import read
from saco_data.model.errors import Blocked, Incomplete
from saco_data.storage import files

if TYPE_CHECKING:
    from saco_data.transports.services.hugging_face import Hub


DATASET = "facebook/SACo-Silver"


NOTE = ".saco-annotations.json"


STAGING = ".saco-download"


@dataclass(frozen=True)
class Fetched:
    """An annotation file at hand. `kept_as`: where the file that was there before has gone."""

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
        """As `saco annotations --json` prints it."""
        return asdict(self)


class Annotations:
    """Gets annotation files from the hub, a folder, or what another transport left on disk."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._hub: Hub | None = None

    def from_hub(self, subset: str) -> Fetched:
        """From the Hugging Face Hub; nothing but its digest is asked for where that is the same.

        Raises Blocked, Incomplete, AnnotationError, DiskFull, OutputError.
        """
        from saco_data.transports.services.hugging_face import Hub, matches

        if self._hub is None:
            token = self.settings.keys.hf_token
            endpoint = self.settings.keys.endpoints.get("hub")
            secret = token.get_secret_value() if token else None
            self._hub = Hub(DATASET, endpoint.rstrip("/") if endpoint else None, secret)
        name = self.settings.manifest(subset).annotations.file
        found = self._hub.look(name)
        path = self.settings.pristine(subset)
        origin = f"{self._hub.page}/blob/{found.revision}/{name}"
        if path.is_file() and matches(path, found):
            return self.install(subset, path, origin, found.revision)
        staging = self.settings.annotations / STAGING
        try:
            got = self._hub.fetch(name, found, staging)
            return self.install(subset, got, origin, found.revision)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def from_folder(self, subset: str, folder: Path) -> Fetched:
        """A copy from a local folder. Raises AnnotationError, DiskFull, OutputError."""
        name = self.settings.manifest(subset).annotations.file
        path = folder / name
        original = path.with_name(f"{path.stem}_original.json")
        source = original if original.is_file() else path
        return self.install(subset, source, str(source))

    def ensure(self, subset: str) -> Fetched | None:
        """Gets a file from the hub if there is none yet; None if there is.

        Raises as `from_hub`, with a message that says what is missing.
        """
        path = self.settings.pristine(subset)
        if path.exists():
            return None
        try:
            return self.from_hub(subset)
        except (Blocked, Incomplete) as error:
            error.what, error.item = f"the annotation file is missing: {error.what}", str(path)
            raise

    def install(self, subset: str, source: Path, origin: str, revision: str = "") -> Fetched:
        """Checks a file and gives it its place. Raises as the others do."""
        index = read(source, self.settings.manifest(subset))
        path = self.settings.pristine(subset)
        state: Literal["new", "unchanged", "replaced"] = "new"
        kept_as = ""
        if path.is_file():
            before = index.sha256 if path == source else files.sha256_of(path)
            state = "unchanged" if before == index.sha256 else "replaced"
            if state == "replaced":
                aside = path.with_name(f"{path.stem}.{before[:8]}.json")
                files.copy_if_changed(path, aside)
                kept_as = str(aside)
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
        self._note(fetched)
        return fetched

    def _note(self, fetched: Fetched) -> None:
        path = self.settings.annotations / NOTE
        known = noted(self.settings)
        name = Path(fetched.file).name
        before = known.get(name, {})
        if before.get("sha256") == fetched.sha256 and not fetched.revision:
            return  # where it first came from says more
        known[name] = {
            "sha256": fetched.sha256,
            "revision": fetched.revision,
            "origin": fetched.origin,
        }
        files.write_if_changed(path, json.dumps(known, indent=1, sort_keys=True).encode())


def noted(settings: Settings) -> dict[str, dict[str, str]]:
    """What is known of the annotation files by name: `sha256`, `revision`, `origin`."""
    try:
        content = json.loads((settings.annotations / NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def revision_of(settings: Settings, path: Path, sha256: str) -> str:
    """The revision that an annotation file was fetched at; "" where that is not known."""
    known = noted(settings).get(path.name, {})
    return str(known.get("revision", "")) if known.get("sha256") == sha256 else ""
