"""CONFIG_FRAMES.yaml -> `Settings`. An official file loads unchanged; a mistake names its line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from saco_data.catalog import manifest
from saco_data.catalog.manifest import FRAME_SUBSETS, SUBSETS, Manifest, Rates
from saco_data.config.yaml_text import Where, expand, is_url, read
from saco_data.model.errors import ConfigError, UsageError

FILE_NAME = "CONFIG_FRAMES.yaml"
# Subsets whose raw medium the user may have at hand: an extracted folder, an archive or a URL.
RAW_KEYS = {
    "geode": "geode_raw",
    "bdd100k": "bdd100k_raw",
    "food_rec": "food_rec_raw",
    "inaturalist": "inaturalist_raw",
    "sav": "sav_videos_fps_6_download_path",
}
TRANSPORTS = {"droid": ("https", "gsutil"), "ego4d": ("boto3", "ego4d-cli")}


class Limits(BaseModel):
    """Overrides of a source's polite rates."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    concurrency: int | None = Field(None, ge=1, le=256)
    requests_per_second: float | None = Field(None, ge=0)
    sleep_seconds: manifest.Pause | None = Field(None, strict=False)


class _Keys(BaseModel):
    """Every key of the config except the ones that exist once a subset."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path_annotations: str = Field("data/annotations", min_length=1)
    silver_path: str = Field("data/silver", min_length=1)
    cookies_path: str | None = None
    sav_links_file: str | None = None
    num_images_show: int = Field(5, ge=1, le=1000)
    saco_subset_show: str = "yt1b"
    directory_save: str = Field("data/previews", min_length=1)
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    hf_token: SecretStr | None = None
    roboflow_api_key: SecretStr | None = None
    endpoints: dict[str, str] = Field(default_factory=dict)
    limits: dict[str, Limits] = Field(default_factory=dict)
    transport: dict[str, str] = Field(default_factory=dict)
    gone_confirm_hours: float = Field(0, ge=0)
    jobs: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)
    executor: str = "local"


# Keys that exist once a subset, and their types.
_SUBSET_KEYS: dict[str, type] = {
    **{f"{name}_path": str for name in SUBSETS},
    **dict.fromkeys(RAW_KEYS.values(), str),
    **{f"update_annotation_{name}": bool for name in SUBSETS},
    **{f"remove_downloaded_videos_{name}": bool for name in FRAME_SUBSETS},
}


@dataclass(frozen=True)
class Places:
    """Where the official image scripts are told to find and put things, instead of our folders."""

    annotation_file: Path | None = None
    raw_folder: Path | None = None
    images: Path | None = None


@dataclass(frozen=True)
class Settings:
    """A checked config: paths absolute, secrets wrapped, one accessor for each per-subset key."""

    file: Path | None
    keys: _Keys
    by_subset: dict[str, Any]
    places: Places = Places()

    @property
    def root(self) -> Path:
        """What relative paths are relative to: the folder of the config file."""
        return self.file.parent if self.file else Path.cwd()

    def path(self, value: str) -> Path:
        """A path of the config made absolute: `~` and variables are already expanded."""
        return Path(os.path.normpath(self.root / value))

    @property
    def annotations(self) -> Path:
        """The folder of annotation files as downloaded: read-only for us."""
        return self.path(self.keys.path_annotations)

    @property
    def silver(self) -> Path:
        """The evaluation-ready root."""
        return self.path(self.keys.silver_path)

    @property
    def state(self) -> Path:
        """Ledger, lock, logs and report."""
        return self.silver / ".saco"

    def images(self, subset: str) -> Path:
        """Where evaluation reads the products of a subset."""
        return self.places.images or self.silver / "images" / subset

    def pruned(self, subset: str) -> Path:
        """The annotation file that evaluation reads."""
        return self.silver / "annotations" / manifest.load(subset).annotations.file

    def downloaded(self, subset: str) -> Path:
        """Where the annotation file lies under its official name."""
        path = self.annotations / manifest.load(subset).annotations.file
        return self.places.annotation_file or path

    def pristine(self, subset: str) -> Path:
        """The annotation file as downloaded; `_original.json` where a drop-in pruned in place."""
        path = self.downloaded(subset)
        original = path.with_name(f"{path.stem}_original.json")
        return original if original.exists() else path

    def folder(self, subset: str) -> Path:
        """The subset's own folder."""
        return self.path(self.by_subset.get(f"{subset}_path") or f"data/{subset}")

    def raw_folder(self, subset: str) -> Path:
        """Where fetched raw media of a subset lie."""
        below = self.folder(subset) / manifest.load(subset).raw.folder
        return self.places.raw_folder or below

    def frames(self, subset: str) -> Path | None:
        """The official `frames/` view of a frame subset, None for image subsets."""
        return self.folder(subset) / "frames" if subset in FRAME_SUBSETS else None

    def raw(self, subset: str) -> str | Path | None:
        """The raw medium that the user names: a URL (str), a folder or archive (Path), or None."""
        key = RAW_KEYS.get(subset)
        value = self.by_subset.get(key) if key else None
        if not value:
            return None
        return value if is_url(value) else self.path(value)

    def endpoint(self, subset: str, name: str) -> str:
        """A URL of the manifest, or its override: `endpoints: {<subset>_<name>: URL}`."""
        override = self.keys.endpoints.get(f"{subset}_{name}")
        return (override or manifest.load(subset).endpoints[name]).rstrip("/")

    def rates(self, subset: str) -> Rates:
        """The manifest's polite rates with the config's overrides."""
        limits = self.keys.limits.get(subset)
        changed = limits.model_dump(exclude_none=True) if limits else {}
        rates = manifest.load(subset).rates.model_copy(update=changed)
        if self.removes_videos(subset):
            # Disk is to stay bounded: never more than two videos on their way.
            rates = rates.model_copy(update={"concurrency": min(rates.concurrency, 2)})
        return rates

    def transport(self, subset: str) -> str:
        """How the bytes of a subset come where there is a choice; the first is the default."""
        return self.keys.transport.get(subset, TRANSPORTS[subset][0])

    def may_prune(self, subset: str) -> bool:
        """Whether entries that are gone may be pruned."""
        return bool(self.by_subset.get(f"update_annotation_{subset}", True))

    def removes_videos(self, subset: str) -> bool:
        """Whether a video is removed once its frames are done."""
        return bool(self.by_subset.get(f"remove_downloaded_videos_{subset}", False))

    def manifest(self, subset: str) -> Manifest:
        """The subset's facts."""
        return manifest.load(subset)


def find(start: Path | None = None) -> Path:
    """`$SACO_CONFIG`, else the nearest CONFIG_FRAMES.yaml upwards. Raises UsageError."""
    named = os.environ.get("SACO_CONFIG")
    if named:
        return Path(named)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise UsageError(
        f"no {FILE_NAME} in this folder or a parent",
        remedy="Run from the folder that has it, or name it: `saco --config FILE`, or SACO_CONFIG",
    )


def load(file: Path) -> Settings:
    """Reads and checks a config file.

    Raises ConfigError with file, line, key and what to write instead.
    """
    file = file.absolute()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot be read ({error.strerror})", item=str(file), remedy="Give the path of a config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", item=str(file), remedy="Save it as UTF-8") from error
    return parse(text, file)


def parse(text: str, file: Path | None = None) -> Settings:
    """Checks the text of a config. Raises ConfigError as `load` does."""
    content, where = read(text, file)
    known = [*_Keys.model_fields, *_SUBSET_KEYS]
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = (
                f"Did you mean {near[0]!r}?" if near else "Remove it; docs/config.md names all keys"
            )
            raise where.error(str(key), "unknown key", hint)
    content = {key: expand(value, key, where) for key, value in content.items()}
    by_subset = {key: content.pop(key) for key in list(content) if key in _SUBSET_KEYS}
    for key, value in by_subset.items():
        wanted = _SUBSET_KEYS[key]
        if value is not None and not isinstance(value, wanted):
            what = "true or false" if wanted is bool else "a path or URL"
            raise where.error(key, f"{value!r} does not fit", f"Write {what}")
    try:
        # YAML's null means "not given", as in the official file.
        given = {key: value for key, value in content.items() if value is not None}
        keys = _Keys.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise where.error(key, first["msg"], "Correct the value; see docs/config.md") from error
    settings = Settings(file, keys, by_subset)
    _check_values(settings, where)
    return settings


def overridden(settings: Settings, changed: Mapping[str, Any]) -> Settings:
    """The settings with other values for some keys, as if the file had them; maps are added to."""
    common = {key: value for key, value in changed.items() if key in _Keys.model_fields}
    keys = _Keys.model_validate(_merged(settings.keys.model_dump(), common))
    by_subset = {key: value for key, value in changed.items() if key in _SUBSET_KEYS}
    return replace(settings, keys=keys, by_subset={**settings.by_subset, **by_subset})


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _one_of(names: Sequence[str]) -> str:
    return f"One of {', '.join(names)}"


def _check_values(settings: Settings, where: Where) -> None:
    keys = settings.keys
    if keys.saco_subset_show not in SUBSETS:
        raise where.error(
            "saco_subset_show",
            f"{keys.saco_subset_show!r} is no subset",
            _one_of(SUBSETS),
        )
    endpoints = [f"{name}_{key}" for name in SUBSETS for key in manifest.load(name).endpoints]
    for name, allowed in (
        ("limits", list(SUBSETS)),
        ("endpoints", [*endpoints, *_OTHER_ENDPOINTS]),
    ):
        for key in getattr(keys, name):
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else _one_of(allowed)
                raise where.error(f"{name}.{key}", "unknown name", hint)
    for subset, transport in keys.transport.items():
        choices = TRANSPORTS.get(subset, ())
        if transport not in choices:
            hint = _one_of(choices) if choices else "Remove it: there is only one way"
            raise where.error(f"transport.{subset}", f"unknown transport {transport!r}", hint)
    if keys.executor != "local":
        raise where.error("executor", f"{keys.executor!r} is not available", "Write local")
    if settings.annotations.resolve() == (settings.silver / "annotations").resolve():
        raise where.error(
            "path_annotations",
            "the downloaded annotations and the derived ones would share a folder",
            "Choose another path_annotations or silver_path: downloaded files are never modified",
        )


# Places that belong to no subset: the annotation hub and Roboflow's REST address.
_OTHER_ENDPOINTS = ("hub", "roboflow")
