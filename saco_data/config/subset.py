"""The config of one subset, combined with its manifest: paths, rates, clients."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from saco_data.catalog.manifest import DEFAULT_COLLECTION, Manifest, Rates
from saco_data.config.yaml_text import is_url

if TYPE_CHECKING:
    from saco_data.config.keys import CollectionKeys, Keys
    from saco_data.config.settings import Settings


@dataclass(frozen=True)
class Places:
    """Folders that the flags of an official image script name, instead of ours."""

    annotation_file: Path | None = None
    raw_folder: Path | None = None
    images: Path | None = None


@dataclass(frozen=True)
class SubsetConfig:
    """The config of one subset. Paths are absolute; only `pristine` reads the disk."""

    settings: Settings
    manifest: Manifest

    @property
    def id(self) -> str:
        """The id of the subset: `nga`, `sa-v/val`."""
        return self.manifest.id

    @property
    def hub_dataset(self) -> str:
        """The dataset of the Hugging Face Hub that holds the annotation file; "" for none."""
        return self.settings.registry.collection_of(self.manifest).facts.hub_dataset or ""

    @property
    def keys(self) -> Keys:
        """The keys of the config that belong to no single subset."""
        return self.settings.keys

    @cached_property
    def root(self) -> Path:
        """The folder of the prepared files of the collection."""
        if self.manifest.collection == DEFAULT_COLLECTION:
            return self.settings.silver
        own = self.settings.collection(self.manifest.collection)
        return self.settings.path(own.path or f"data/{self.manifest.collection}")

    @cached_property
    def images(self) -> Path:
        """The folder of the products, which evaluation reads."""
        return self.settings.places.images or self.root / self.manifest.products_folder

    @property
    def watched(self) -> Path:
        """The folder whose files tell which products are finished.

        That of the products; of shards only that of their inventories, which name all other files.
        """
        facts = self.manifest.shard_files
        return self.images / facts.inventories if facts else self.images

    @property
    def unpacked(self) -> Path:
        """The folder in which files of shards lie until they are checked."""
        return self.images / "unpacked"

    @property
    def bucket(self) -> str:
        """The address of the bucket that the subset is published in; "" where it is in a folder."""
        is_ours = self.manifest.collection == DEFAULT_COLLECTION and not self.settings.places.images
        return self.settings.bucket if is_ours else ""

    @property
    def published(self) -> Path:
        """Our copy of the inventory of what is published of the subset."""
        return self.settings.state / "published" / f"{self.id.replace('/', '.')}.jsonl"

    @cached_property
    def derived(self) -> Path:
        """The annotation file that evaluation reads."""
        return self.root / "annotations" / self.manifest.annotations.file

    @cached_property
    def downloaded(self) -> Path:
        """The path of the annotation file under its official name."""
        folder = self.settings.annotations
        if self.manifest.collection != DEFAULT_COLLECTION:
            folder = folder / self.manifest.collection
        return self.settings.places.annotation_file or folder / self.manifest.annotations.file

    @property
    def pristine(self) -> Path:
        """The annotation file as downloaded: `_original.json` where a drop-in pruned in place."""
        original = self.downloaded.with_name(f"{self.downloaded.stem}_original.json")
        return original if original.exists() else self.downloaded

    @cached_property
    def folder(self) -> Path:
        """The folder of raw media and the files that belong to them."""
        if self.manifest.collection == DEFAULT_COLLECTION:
            given = self.settings.by_subset.get(f"{self.id}_path")
            return self.settings.path(given or f"data/{self.id}")
        return self.root / "raw" / self.manifest.name

    @cached_property
    def raw_folder(self) -> Path:
        """The folder of fetched raw media."""
        return self.settings.places.raw_folder or self.folder / self.manifest.raw.folder

    @cached_property
    def frames_view(self) -> Path | None:
        """The official `frames/` folder of a frame subset; None for image subsets.

        None for a bucket too: a second name would be a second copy there.
        """
        return self.folder / "frames" if self.manifest.frames and not self.bucket else None

    @cached_property
    def raw(self) -> str | Path | None:
        """The raw medium in the config: a URL (str), a folder or archive (Path), or None."""
        if self.manifest.collection == DEFAULT_COLLECTION:
            value = self.settings.by_subset.get(self.manifest.raw.config_key or "")
        else:
            value = self.settings.collection(self.manifest.collection).raw.get(self.manifest.name)
        if not value:
            return None
        return value if is_url(value) else self.settings.path(value)

    @cached_property
    def seek_index(self) -> tuple[str | Path, str] | None:
        """The seek index of the archives: its URL (str) or path, and the sha256 it must have.

        The sha256 is "" where neither the config nor the manifest names it; None without an index.
        """
        if self.manifest.collection == DEFAULT_COLLECTION:
            given = self.settings.by_subset.get(self.seek_index_key)
        else:
            given = self.settings.collection(self.manifest.collection).index.get(self.manifest.name)
        pinned = self.manifest.pinned.get("index")
        place, _, sha256 = (given or self.manifest.endpoints.get("index", "")).partition("#sha256=")
        if not place:
            return None
        sha256 = sha256.strip().lower() or (pinned.sha256 if pinned else "")
        return (place if is_url(place) else self.settings.path(place)), sha256

    @property
    def seek_index_key(self) -> str:
        """The key of the config that names the seek index."""
        facts = self.manifest
        if facts.collection == DEFAULT_COLLECTION:
            return f"{facts.name}_index"
        return f"collections.{facts.collection}.index.{facts.name}"

    @cached_property
    def links_file(self) -> Path | None:
        """The links file of the collection, as downloaded; None where the config names none."""
        if self.manifest.collection == DEFAULT_COLLECTION:
            value = self.keys.sav_links_file
        else:
            value = self.settings.collection(self.manifest.collection).links_file
        return self.settings.path(value) if value else None

    @property
    def collection(self) -> CollectionKeys:
        """The keys of the collection."""
        return self.settings.collection(self.manifest.collection)

    def endpoint(self, name: str) -> str:
        """A URL of the manifest, or its override: `endpoints: {<subset>_<name>: URL}`."""
        override = self.keys.endpoints.get(endpoint_key(self.manifest, name))
        return (override or self.manifest.endpoints[name]).rstrip("/")

    def endpoint_remedy(self, name: str) -> str:
        """What to do where a URL of the manifest, or its override, is not what it should be."""
        key = endpoint_key(self.manifest, name)
        if key in self.keys.endpoints:
            return f"Correct `endpoints: {key}` in the config, or remove it"
        return (
            "Check the network and the proxy, then run again later; it is the public address, so "
            "please report it if it stays"
        )

    @cached_property
    def rates(self) -> Rates:
        """The manifest's polite rates with the config's overrides."""
        limits = self.keys.limits.get(self.id)
        changed = limits.model_dump(exclude_none=True) if limits else {}
        rates = self.manifest.rates.model_copy(update=changed)
        if self.removes_videos:
            # At most two videos at a time, so that the disk stays bounded.
            rates = rates.model_copy(update={"concurrency": min(rates.concurrency, 2)})
        return rates

    @property
    def archives_at_once(self) -> int:
        """How many archives of its source the nodes of a cluster may read at a time, in all."""
        limits = self.keys.limits.get(self.id)
        return (limits and limits.concurrency) or self.manifest.rates.concurrency

    @cached_property
    def client(self) -> str:
        """The client that fetches the subset; by default the first, "" if there is none."""
        return self.keys.transport.get(self.id, next(iter(self.manifest.clients), ""))

    @cached_property
    def may_prune(self) -> bool:
        """Whether gone entries may be pruned."""
        if self.manifest.collection == DEFAULT_COLLECTION:
            return bool(self.settings.by_subset.get(f"update_annotation_{self.id}", True))
        return self.settings.collection(self.manifest.collection).update_annotation

    @cached_property
    def removes_videos(self) -> bool:
        """Whether a raw file is removed once its products are done."""
        if self.manifest.process == "member":
            return True  # the products are the same files
        if self.manifest.collection == DEFAULT_COLLECTION:
            return bool(self.settings.by_subset.get(f"remove_downloaded_videos_{self.id}", False))
        return self.settings.collection(self.manifest.collection).remove_downloaded_videos

    def path(self, value: str) -> Path:
        """A path of the config, made absolute."""
        return self.settings.path(value)


def endpoint_key(manifest: Manifest, name: str) -> str:
    """The key under `endpoints` that overrides a URL of a manifest."""
    return f"{manifest.id.replace('/', '_')}_{name}"


def has_token(keys: Keys) -> bool:
    """Whether there is a token for the Hugging Face Hub in config, environment or login."""
    if keys.hf_token or os.environ.get("HF_TOKEN"):
        return True
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    return Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser().is_file()
