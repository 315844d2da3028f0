"""The keys of the config and their types, one model for each mapping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, SecretStr, Tag

from saco_data.catalog.manifest import Pause
from saco_data.config.granted import workers


class Limits(BaseModel):
    """Overrides of a source's polite rates."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    concurrency: int | None = Field(None, ge=1, le=256)
    requests_per_second: float | None = Field(None, ge=0)
    sleep_seconds: Pause | None = Field(None, strict=False)


class Sample(BaseModel):
    """A random sample of videos: so many, the same ones for the same seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    videos: int = Field(ge=1)
    seed: int = 0


class CollectionKeys(BaseModel):
    """The keys of one entry of `collections`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    # The folder of prepared files; `data/<collection>` by default.
    path: str | None = Field(default=None, min_length=1)
    # A folder that defines the collection: `collection.yaml` and a manifest for each subset.
    manifests: str | None = Field(default=None, min_length=1)
    # The raw media that the user has, by subset: a folder, an archive or a URL.
    raw: dict[str, str] = Field(default_factory=dict)
    # The seek indices of the archives, by subset: a file or a URL, with `#sha256=` of the file.
    index: dict[str, str] = Field(default_factory=dict)
    # The links file of a collection whose links expire.
    links_file: str | None = Field(default=None, min_length=1)
    # Where the pictures of SA-V val and test are linked together, for SA-Co/VEval.
    veval_path: str | None = Field(default=None, min_length=1)
    # Which shards of a sharded subset: numbers, and ranges such as "0-3"; all by default.
    shards: list[int | Annotated[str, Field(pattern=r"^[0-9]+-[0-9]+$")]] | None = None
    # A file with the ids of the wanted videos, one a line; all by default.
    videos: str | None = Field(default=None, min_length=1)
    # A file with the ids of the wanted pictures, one a line; all by default.
    images: str | None = Field(default=None, min_length=1)
    # Whether pictures are wanted, or their annotations alone.
    pictures: bool = True
    annotations: Literal["manual", "auto", "both"] = "both"
    # The videos themselves, every fourth frame of them as pictures, or both.
    media: Literal["videos", "frames", "both"] = "videos"
    # The share of videos, those with the most frames edited by hand; all by default.
    most_edited: float | None = Field(default=None, gt=0, le=1)
    sample: Sample | None = None
    update_annotation: bool = True
    remove_downloaded_videos: bool = False


class SlurmKeys(BaseModel):
    """What is asked of SLURM: jobs of one node each, as many as the work needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    # At most so many nodes, and at least so many as long as the run lasts.
    nodes: int = Field(ge=1, le=1024)
    minimum_nodes: int = Field(default=1, ge=0)
    # Of each node.
    cores: int = Field(ge=1, le=1024)
    memory: str = Field(pattern=r"^[0-9]+ ?[KMGT](i?B)?$")
    walltime: str = Field(pattern=r"^([0-9]+-)?[0-9]{1,3}(:[0-9]{2}){0,2}$")
    partition: str | None = Field(default=None, pattern=r"^[\w.,-]+$")
    account: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    # The network interface of the login node and of all others, for example `ib0`.
    interface: str | None = Field(default=None, pattern=r"^[\w.:-]+$")
    # More options of sbatch, and lines of shell before the worker starts.
    directives: list[str] = Field(default_factory=list)
    prologue: list[str] = Field(default_factory=list)


class ClusterKeys(BaseModel):
    """The mapping that `executor` may be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    slurm: SlurmKeys


# In the place of an error, beside the keys.
UNION_TAGS = ("<name>", "<mapping>")
Executor = Annotated[
    Annotated[str, Tag(UNION_TAGS[0])] | Annotated[ClusterKeys, Tag(UNION_TAGS[1])],
    Discriminator(lambda value: UNION_TAGS[isinstance(value, dict | ClusterKeys)]),
]


class Keys(BaseModel):
    """The keys of the config, without those that exist once for each subset of Silver."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    path_annotations: str = Field("data/annotations", min_length=1)
    silver_path: str = Field("data/silver", min_length=1)
    state_path: str | None = Field(default=None, min_length=1)
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
    jobs: int = Field(default_factory=lambda: min(workers(), 1024), ge=1, le=1024)
    executor: Executor = "local"
    collections: dict[str, CollectionKeys] = Field(default_factory=dict)
