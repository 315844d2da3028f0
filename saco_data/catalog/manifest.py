"""The schema of `manifests/<collection>/<subset>.yaml`: the facts of one subset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from saco_data.catalog.invalid_value import explain
from saco_data.model.errors import ManifestError

DEFAULT_COLLECTION = "silver"
# Names of collections and subsets: safe as folder names, keys and command line arguments.
NAME = r"^[a-z0-9][a-z0-9_.-]*$"


# libyaml, where PyYAML was built with it: all manifests are read at every start.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Annotations(_Facts):
    """The file that names the products, its format, and the published counts.

    `saco` and `coco`: an annotation file. `listing`: what an archive holds; the file is written
    when the archive is read for the first time.
    """

    format: Literal["saco", "coco", "listing"] = "saco"
    file: Annotated[str, Field(pattern=r"^[\w.-]+\.json$")]
    image_nps: Annotated[int, Field(ge=0)] = 0
    # Of these, the ones that the official evaluation counts (annotated exhaustively).
    evaluated: Annotated[int, Field(gt=0)] | None = None
    masks: Annotated[int, Field(gt=0)] | None = None
    files: Annotated[int, Field(gt=0)] | None = None
    videos: Annotated[int, Field(gt=0)] | None = None
    objects: Annotated[int, Field(gt=0)] | None = None
    # The folder of masks among the products: `<folder>/<video>/<object>/<frame>.png`.
    folder: str | None = None
    # The folder of pictures among the products: `<pictures>/<video>/<frame>.jpg`.
    pictures: str | None = None
    roboflow_project: str | None = None

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if self.format == "saco" and not (self.image_nps and self.masks):
            raise ValueError("write the published numbers: image_nps and masks")
        return self


def _check_key_group(value: str) -> str:
    try:
        groups = re.compile(value, re.ASCII).groupindex
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from None
    if "key" not in groups:
        raise ValueError("write a regular expression with a group (?P<key>...)")
    return value


# A regular expression whose group `key` is the key of an asset.
KeyPattern = Annotated[str, AfterValidator(_check_key_group)]


class Members(_Facts):
    """Regular expressions that give the asset of an archive's member (or a folder's file).

    `member` must match the path of a member to its end, beginning at any of its folders: mirrors
    pack the same files below different roots. `product` must match a whole `file_name`; without
    it, the key of an asset is the name of its product. `slash` replaces each "/" in the key of a
    member.
    """

    member: KeyPattern
    product: KeyPattern | None = None
    slash: str = "/"


class Contents(_Facts):
    """What the archives of a data set of videos hold in all: numbers of files and bytes."""

    videos: Annotated[int, Field(gt=0)]
    video_bytes: Annotated[int, Field(gt=0)]
    manual_bytes: Annotated[int, Field(gt=0)]
    auto_bytes: Annotated[int, Field(gt=0)]


class Raw(_Facts):
    """The raw medium and the layout of its files."""

    kind: Literal["archive", "files", "videos"]
    layout: str
    # Where the official scripts put the raw files, below the subset's own folder.
    folder: str = "raw"
    archive: str | None = None
    # The number of archives; `archive` then has a field for the number: `sav_{:03d}.tar`.
    shards: Annotated[int, Field(gt=0)] | None = None
    # The config key with which the user names the raw medium: a folder, an archive or a URL.
    config_key: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    # For archives and folders without code of their own.
    members: Members | None = None
    bytes: int | None = None
    contents: Contents | None = None
    md5: str | None = None
    # The typical size of one raw file in bytes, for estimates.
    typical_bytes: Annotated[int, Field(gt=0)]

    @property
    def is_tar_gz(self) -> bool:
        """Whether it is published as tar.gz, whose members a seek index can find."""
        return (self.archive or "").endswith(".tar.gz")


class EveryFourth(_Facts):
    """Every fourth frame of each video: a product of its own, where the config asks for it.

    `folder`: below that of the products: `<folder>/<video>/<frame>.jpg`.
    """

    folder: Annotated[str, Field(pattern=r"^\w+$")]
    # For estimates: bytes of the pictures of a video together, and seconds of one core for them.
    typical_bytes: Annotated[int, Field(gt=0)]
    typical_seconds: Annotated[float, Field(gt=0)]


class ShardFiles(_Facts):
    """Each archive is one item of the ledger; its product is an inventory that names its files.

    `inventories`, `pictures`, `annotations`: flat folders below that of the products. `a_shard`:
    how many pictures were published in most archives. For estimates: pictures in all, and the bytes
    of all pictures and of all annotations.
    """

    inventories: Annotated[str, Field(pattern=r"^\w+$")]
    pictures: Annotated[str, Field(pattern=r"^\w+$")]
    annotations: Annotated[str, Field(pattern=r"^\w+$")]
    a_shard: Annotated[int, Field(gt=0)]
    count: Annotated[int, Field(gt=0)]
    picture_bytes: Annotated[int, Field(gt=0)]
    annotation_bytes: Annotated[int, Field(gt=0)]


class Digest(_Facts):
    """The known sha256 and number of entries of a small file that a source needs."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    entries: int | None = None


class Access(_Facts):
    """Who may fetch it, and the steps that a user must take."""

    kind: Literal["open", "login", "links", "keys", "cookies"]
    steps: str
    page: str


def _check_order(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        raise ValueError("write [min, max] with 0 <= min <= max")
    return value


# The shortest and the longest pause between two requests, in seconds.
Pause = Annotated[tuple[float, float], AfterValidator(_check_order)]


class Rates(_Facts):
    """Polite limits for one source; the config's `limits` override them."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    requests_per_second: Annotated[float, Field(ge=0)] = 0
    sleep_seconds: Pause = (0, 0)


class Manifest(_Facts):
    """The facts of one subset that are known before anything is downloaded."""

    name: Annotated[str, Field(pattern=NAME)]
    collection: Annotated[str, Field(pattern=NAME)]
    title: str
    # `member`: products are the members of an archive as they are: pictures, masks, text.
    process: Literal["copy", "resize", "frames", "member"]
    evaluator: Literal["cgf1", "jf", "miou"]
    # The registered name of the source's code; None where `raw.members` suffices.
    source: str | None = None
    # The clients that can fetch it, the default first; empty where there is no choice.
    clients: tuple[str, ...] = ()
    annotations: Annotations
    raw: Raw
    every_fourth: EveryFourth | None = None
    shard_files: ShardFiles | None = None
    # The folder of the products below the collection's; `images/<name>` by default.
    products: Annotated[str, Field(pattern=r"^[\w-][\w./-]*$")] | None = None
    endpoints: dict[str, str] = Field(default_factory=dict)
    pinned: dict[str, Digest] = Field(default_factory=dict)
    access: Access
    # For the docs: the answer of this source that makes a file count as gone.
    gone: str | None = None
    licence: str
    citation: str
    rates: Rates = Rates()

    @property
    def full_name(self) -> str:
        """`collection/subset`."""
        return f"{self.collection}/{self.name}"

    @property
    def products_folder(self) -> str:
        """The folder of the products below the root of the collection."""
        return self.products or f"images/{self.name}"

    @property
    def id(self) -> str:
        """The name of the subset in the ledger, the config and all output.

        Subsets of the default collection keep their short names: `nga`, but `sa-v/val`.
        """
        return self.name if self.collection == DEFAULT_COLLECTION else self.full_name

    @property
    def frames(self) -> bool:
        """Whether the products are frames of videos."""
        return self.process == "frames"

    @property
    def is_listed(self) -> bool:
        """Whether the archive's own listing names the products."""
        return self.annotations.format == "listing"


def read(path: Path, collection: str) -> Manifest:
    """The manifest in a file. Raises ManifestError with the file, the key and the fault."""
    content = read_yaml(path)
    try:
        manifest = Manifest.model_validate({**content, "collection": collection})
    except ValidationError as error:
        raise invalid(path, error, Manifest) from error
    if path.stem != manifest.name:
        raise ManifestError(
            f"says it is {manifest.name!r}", item=str(path), remedy="Name the file after its subset"
        )
    return manifest


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ManifestError."""
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
    except FileNotFoundError:
        raise ManifestError(
            "the manifest is missing",
            item=str(path),
            remedy="Write it, or correct `manifests` of its collection in the config; if it is "
            "saco-data's own, install that again",
        ) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"not readable as YAML ({error})", item=str(path), remedy="Correct the file"
        ) from error
    if not isinstance(content, dict):
        raise ManifestError("is not a YAML mapping", item=str(path), remedy="Correct the file")
    return content


def invalid(path: Path, error: ValidationError, model: type[BaseModel]) -> ManifestError:
    """The error for a file that does not fit the schema."""
    key, what, remedy = explain(error, model)
    return ManifestError(
        f"{key}: {what}",
        item=str(path),
        remedy=f"{remedy} (saco_data/catalog/manifest.py lists all keys)",
    )
