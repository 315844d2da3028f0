"""Reads CONFIG_FRAMES.yaml into `Settings`.

An official file loads unchanged; the error for a mistake names its line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from saco_data.catalog import registry
from saco_data.catalog.invalid_value import explain
from saco_data.catalog.manifest import DEFAULT_COLLECTION
from saco_data.catalog.registry import Registry
from saco_data.config.folders import check_folders
from saco_data.config.installation import page
from saco_data.config.keys import CollectionKeys, Keys
from saco_data.config.regular import require_regular
from saco_data.config.subset import Places, SubsetConfig, endpoint_key
from saco_data.config.yaml_text import Where, expand, is_bucket, read, without_user
from saco_data.model.errors import ConfigError, DiskTrouble, ManifestError, UsageError
from saco_data.model.suggest import suggest

FILE_NAME = "CONFIG_FRAMES.yaml"
# Keys under `endpoints` that belong to no single subset: the annotation hub, Roboflow's REST API.
_OTHER_ENDPOINTS = ("hub", "roboflow")


def subset_keys() -> dict[str, type]:
    """The keys that exist once for each subset of Silver, and their types."""
    keys: dict[str, type] = {}
    for manifest in registry.builtin().collections[DEFAULT_COLLECTION].manifests:
        keys[f"{manifest.name}_path"] = str
        keys[f"update_annotation_{manifest.name}"] = bool
        if manifest.frames:
            keys[f"remove_downloaded_videos_{manifest.name}"] = bool
        if manifest.raw.config_key:
            keys[manifest.raw.config_key] = str
        if manifest.raw.is_tar_gz:
            keys[f"{manifest.name}_index"] = str
    return keys


@dataclass(frozen=True)
class Settings:
    """A checked config: paths absolute, secrets wrapped."""

    file: Path | None
    keys: Keys
    by_subset: dict[str, Any]
    registry: Registry
    places: Places = field(default_factory=Places)

    @property
    def root(self) -> Path:
        """The folder of the config file, to which relative paths refer."""
        return self.file.parent if self.file else Path.cwd()

    def path(self, value: str) -> Path:
        """A path of the config made absolute: `~` and variables are already expanded."""
        return Path(os.path.normpath(self.root / value))

    @property
    def annotations(self) -> Path:
        """The folder of the downloaded annotation files, which are never modified."""
        return self.path(self.keys.path_annotations)

    @property
    def silver(self) -> Path:
        """The folder of the prepared files of Silver.

        For a bucket, they are made here and stay until they are published there.
        """
        return self.state / "copy" if self.bucket else self.path(self.keys.silver_path)

    @property
    def bucket(self) -> str:
        """The address of the bucket that Silver is published in; "" where it is in a folder."""
        return self.keys.silver_path if is_bucket(self.keys.silver_path) else ""

    @property
    def state(self) -> Path:
        """The folder of ledger, lock, logs and report: always local."""
        if self.keys.state_path:
            return self.path(self.keys.state_path)
        return self.path(".saco") if self.bucket else self.silver / ".saco"

    def collection(self, name: str) -> CollectionKeys:
        """The keys of a collection."""
        return self.keys.collections.get(name) or CollectionKeys()

    def subset(self, name: str) -> SubsetConfig:
        """The config of one subset. Raises UsageError for an unknown name."""
        return SubsetConfig(self, self.registry.find(name))


def exposed_secrets(settings: Settings) -> list[str]:
    """The keys with a secret in a config file that others on this machine can read."""
    try:
        if settings.file is None or not settings.file.stat().st_mode & 0o044:
            return []
    except OSError:
        return []
    keys = settings.keys
    secret = [
        name for name in type(keys).model_fields if isinstance(getattr(keys, name), SecretStr)
    ]
    addresses = {
        **{f"endpoints.{name}": url for name, url in keys.endpoints.items()},
        **{name: value for name, value in settings.by_subset.items() if isinstance(value, str)},
    }
    return [*secret, *(name for name, url in addresses.items() if without_user(url) != url)]


def find(start: Path | None = None) -> Path:
    """`$SACO_CONFIG`, else CONFIG_FRAMES.yaml in this folder or the nearest parent that has it.

    Raises UsageError.
    """
    named = os.environ.get("SACO_CONFIG")
    if named:
        return Path(named)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).exists():  # what is there and is no file gets its own message
            return folder / FILE_NAME
    raise UsageError(
        f"no {FILE_NAME} in this folder or a parent",
        remedy="Write one with `saco init`, run from the folder that has it, or name it: "
        "`saco --config FILE`, or SACO_CONFIG",
    )


def load(file: Path) -> Settings:
    """Reads and checks a config file.

    Raises ConfigError with file, line, key and what to write instead.
    """
    file = file.absolute()
    try:
        require_regular(file)
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        if error.errno in DiskTrouble.ERRNOS:
            raise DiskTrouble(
                f"cannot be read ({error.strerror})", item=str(file), remedy=DiskTrouble.REMEDY
            ) from error
        raise ConfigError(
            f"cannot be read ({error.strerror})", item=str(file), remedy="Give the path of a config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", item=str(file), remedy="Save it as UTF-8") from error
    return parse(text, file)


def parse(text: str, file: Path | None = None) -> Settings:
    """Checks the text of a config. Raises ConfigError as `load` does."""
    content, where = read(text, file)
    own = subset_keys()
    known = [*Keys.model_fields, *own]
    for key in content:
        if key not in known:
            hint = suggest(str(key), known) or f"Remove it; {page('config.md')} names all keys"
            raise where.error(str(key), "unknown key", hint)
    content = {key: expand(value, key, where) for key, value in content.items()}
    by_subset = {key: content.pop(key) for key in list(content) if key in own}
    for key, value in by_subset.items():
        wanted = own[key]
        if value is not None and not isinstance(value, wanted):
            what = "true or false" if wanted is bool else "a path or URL"
            raise where.error(key, f"{value!r} does not fit", f"Write {what}")
    try:
        # YAML's null means "not given", as in the official file.
        given = {key: value for key, value in content.items() if value is not None}
        keys = Keys.model_validate(given)
    except ValidationError as error:
        raise where.error(*explain(error, Keys)) from error
    root = file.parent if file else Path.cwd()
    try:
        all_collections = registry.with_folders(_manifest_folders(keys, root))
    except ManifestError as error:
        raise where.error("collections", f"{error.item}: {error.what}", error.remedy) from error
    settings = Settings(file, keys, by_subset, all_collections)
    _check_values(settings, where)
    return settings


def override(settings: Settings, changed: Mapping[str, Any]) -> Settings:
    """The settings with other values for some keys, as if the file had them; merges mappings."""
    common = {key: value for key, value in changed.items() if key in Keys.model_fields}
    keys = Keys.model_validate(_merge(settings.keys.model_dump(), common))
    own = subset_keys()
    by_subset = {key: value for key, value in changed.items() if key in own}
    return replace(settings, keys=keys, by_subset={**settings.by_subset, **by_subset})


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _list_choices(names: Sequence[str]) -> str:
    return f"Write one of {', '.join(names)}"


def _manifest_folders(keys: Keys, root: Path) -> dict[str, Path]:
    """The folders of manifests that the config names, by collection."""
    return {
        name: Path(os.path.normpath(root / own.manifests))
        for name, own in keys.collections.items()
        if own.manifests
    }


def _check_executor(keys: Keys, where: Where) -> None:
    """Raises ConfigError where `executor` names no place for work, or an unsafe one."""
    name = keys.executor
    if not isinstance(name, str) or name in ("local", "dask"):
        return
    address = urlsplit(name)
    if not (address.hostname and address.scheme in ("tcp", "tls")):
        remedy = "Write local, dask, tls://host:port, or a mapping with the key slurm"
        raise where.error("executor", f"{without_user(name)!r} is not available", remedy)
    if address.scheme == "tcp" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise where.error(
            "executor",
            f"{without_user(name)!r} leads to another machine without TLS",
            "Write tls://host:port: who reaches a scheduler without TLS can run any code as you",
        )


def _check_values(settings: Settings, where: Where) -> None:
    keys, known = settings.keys, settings.registry
    if keys.saco_subset_show not in known.ids:
        problem = f"{keys.saco_subset_show!r} is not a subset"
        raise where.error("saco_subset_show", problem, _list_choices(known.ids))
    endpoints = [
        endpoint_key(manifest, key) for manifest in known.manifests for key in manifest.endpoints
    ]
    own = {
        name: [manifest.name for manifest in known.collections[name].manifests]
        for name in keys.collections
        if name in known.collections
    }
    checks: list[tuple[str, Iterable[str], Sequence[str]]] = [
        ("limits", keys.limits, list(known.ids)),
        ("endpoints", keys.endpoints, [*endpoints, *_OTHER_ENDPOINTS]),
        ("collections", keys.collections, list(known.collections)),
        *((f"collections.{key}.raw", keys.collections[key].raw, own[key]) for key in own),
        *((f"collections.{key}.index", keys.collections[key].index, own[key]) for key in own),
    ]
    for name, given, allowed in checks:
        for key in given:
            if key not in allowed:
                hint = suggest(key, allowed) or _list_choices(allowed)
                raise where.error(f"{name}.{key}", "unknown name", hint)
    if DEFAULT_COLLECTION in keys.collections:
        raise where.error(
            f"collections.{DEFAULT_COLLECTION}",
            "this collection has keys of its own",
            "Use silver_path, <subset>_path and <subset>_raw",
        )
    for subset, client in keys.transport.items():
        choices = known.find(subset).clients if subset in known.ids else ()
        if client not in choices:
            hint = _list_choices(choices) if choices else "Remove it: there is only one way"
            raise where.error(f"transport.{subset}", f"unknown transport {client!r}", hint)
    for name, address in keys.endpoints.items():
        is_file = os.path.isfile(settings.path(address))  # noqa: PTH113 - it may be no path
        if address and "://" not in address and not is_file:
            problem = f"{without_user(address)!r} is neither a URL nor a file that is there"
            raise where.error(f"endpoints.{name}", problem, "Write the whole URL: https://...")
    _check_executor(keys, where)
    if settings.annotations.resolve() == (settings.silver / "annotations").resolve():
        raise where.error(
            "path_annotations",
            "the downloaded annotations and the derived ones would share a folder",
            "Choose another path_annotations or silver_path: downloaded files are never modified",
        )
    check_folders(settings, where)
