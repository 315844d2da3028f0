"""The schema of `manifests/<collection>/<subset>.yaml`: the facts of one subset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from saco_data.model.errors import ManifestError

DEFAULT_COLLECTION = "silver"
# Names of collections and subsets: safe as a folder, a key and a word of the command line.
NAME = r"^[a-z0-9][a-z0-9_.-]*$"


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Annotations(_Facts):
    """The annotation file, its format, and its published counts."""

    format: Literal["saco"] = "saco"
    file: Annotated[str, Field(pattern=r"^[\w.-]+\.json$")]
    image_nps: Annotated[int, Field(gt=0)]
    # Of these, the ones that the official evaluation counts (annotated exhaustively).
    evaluated: Annotated[int, Field(gt=0)] | None = None
    masks: Annotated[int, Field(gt=0)]
    files: Annotated[int, Field(gt=0)] | None = None
    roboflow_project: str | None = None


def _with_key(value: str) -> str:
    try:
        groups = re.compile(value, re.ASCII).groupindex
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    if "key" not in groups:
        raise ValueError("write a regular expression with a group (?P<key>...)")
    return value


# A regular expression whose group `key` is the key of an asset.
KeyPattern = Annotated[str, AfterValidator(_with_key)]


class Members(_Facts):
    """Which member of an archive (or file of a folder) is which asset, as regular expressions.

    `member` must match the path of a member to its end, beginning at any of its folders: mirrors
    pack the same files below different roots. `product` must match a whole `file_name`; without
    it an asset is called as its product. `slash` replaces each "/" in the key of a member.
    """

    member: KeyPattern
    product: KeyPattern | None = None
    slash: str = "/"


class Raw(_Facts):
    """What the raw medium is and where its files lie inside it."""

    kind: Literal["archive", "files", "videos"]
    layout: str
    # Where the official scripts put the raw files, below the subset's own folder.
    folder: str = "raw"
    archive: str | None = None
    # The config key by which the user names the raw medium at hand: a folder, an archive, a URL.
    config_key: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    # For archives and folders that need no code of their own.
    members: Members | None = None
    bytes: int | None = None
    md5: str | None = None
    # For estimates only: the usual size of one raw file, in bytes.
    typical_bytes: Annotated[int, Field(gt=0)]


class Digest(_Facts):
    """The known sha256 and number of entries of a small file that a source relies on."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    entries: int | None = None


class Access(_Facts):
    """Who may fetch it, and what a user has to click."""

    kind: Literal["open", "login", "links", "keys", "cookies"]
    steps: str
    page: str


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        raise ValueError("write [min, max] with 0 <= min <= max")
    return value


# The least and the longest pause between two requests, in seconds.
Pause = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Rates(_Facts):
    """Polite limits for one source; the config's `limits` overrides each."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    requests_per_second: Annotated[float, Field(ge=0)] = 0
    sleep_seconds: Pause = (0, 0)


class Manifest(_Facts):
    """All that is known of one subset before anything is downloaded."""

    name: Annotated[str, Field(pattern=NAME)]
    collection: Annotated[str, Field(pattern=NAME)]
    title: str
    process: Literal["copy", "resize", "frames"]
    evaluator: Literal["cgf1", "jf", "miou"]
    # The source's code, by the name it is registered under; none where `raw.members` says it all.
    source: str | None = None
    # The clients that can fetch it, the default first; empty where there is only one way.
    clients: tuple[str, ...] = ()
    annotations: Annotations
    raw: Raw
    endpoints: dict[str, str] = Field(default_factory=dict)
    pinned: dict[str, Digest] = Field(default_factory=dict)
    access: Access
    # For the docs: what this source must say before a file counts as gone.
    gone: str | None = None
    licence: str
    citation: str
    rates: Rates = Rates()

    @property
    def full_name(self) -> str:
        """`collection/subset`."""
        return f"{self.collection}/{self.name}"

    @property
    def id(self) -> str:
        """How the subset is called in the ledger, the config and all output.

        Subsets of the default collection keep their short names: `nga`, but `sa-v/val`.
        """
        return self.name if self.collection == DEFAULT_COLLECTION else self.full_name

    @property
    def frames(self) -> bool:
        """Whether the products are frames of videos."""
        return self.process == "frames"


def read(path: Path, collection: str) -> Manifest:
    """The manifest in a file. Raises ManifestError that names the file, the key and the fault."""
    content = read_yaml(path)
    try:
        manifest = Manifest.model_validate({**content, "collection": collection})
    except ValidationError as error:
        raise wrong(path, error) from error
    if path.stem != manifest.name:
        raise ManifestError(
            f"says it is {manifest.name!r}", item=str(path), remedy="Name the file after its subset"
        )
    return manifest


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ManifestError."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(
            "the manifest is missing", item=str(path), remedy="Install saco-data again"
        ) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"not readable as YAML ({error})", item=str(path), remedy="Correct the file"
        ) from error
    if not isinstance(content, dict):
        raise ManifestError("is not a YAML mapping", item=str(path), remedy="Correct the file")
    return content


def wrong(path: Path, error: ValidationError) -> ManifestError:
    """The error for a file that does not fit the schema."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole file"
    return ManifestError(
        f"{key}: {first['msg']}",
        item=str(path),
        remedy="Correct the key; saco_data/catalog/manifest.py names them all",
    )
