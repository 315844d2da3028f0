"""`manifests/*.yaml` -> `Manifest`: the facts of each subset, checked against a schema."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from saco_data.model.errors import ManifestError, UsageError

# The order in which subsets are shown: images first, then frames.
SUBSETS = (
    "geode",
    "bdd100k",
    "food_rec",
    "nga",
    "inaturalist",
    "fathomnet",
    "droid",
    "sav",
    "ego4d",
    "yt1b",
)
FRAME_SUBSETS = ("droid", "sav", "ego4d", "yt1b")


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Annotations(_Facts):
    """The annotation file and its published counts."""

    file: Annotated[str, Field(pattern=r"^[\w.-]+\.json$")]
    image_nps: Annotated[int, Field(gt=0)]
    masks: Annotated[int, Field(gt=0)]
    files: Annotated[int, Field(gt=0)] | None = None
    roboflow_project: str | None = None


class Raw(_Facts):
    """What the raw medium is and where its files lie inside it."""

    kind: Literal["archive", "files", "videos"]
    layout: str
    # Where the official scripts put the raw files, below the subset's own folder.
    folder: str = "raw"
    archive: str | None = None
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

    name: Literal[SUBSETS]  # type: ignore[valid-type]
    title: str
    process: Literal["copy", "resize", "frames"]
    annotations: Annotations
    raw: Raw
    endpoints: dict[str, str] = Field(default_factory=dict)
    pinned: dict[str, Digest] = Field(default_factory=dict)
    access: Access
    licence: str
    citation: str
    rates: Rates = Rates()

    @property
    def frames(self) -> bool:
        """Whether the products are frames of videos."""
        return self.process == "frames"


def folder() -> Path:
    """Where the manifests lie: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "manifests"
    return inside if inside.is_dir() else package.parent / "manifests"


def read(path: Path) -> Manifest:
    """One manifest. Raises ManifestError that names the file, the key and the fault."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        manifest = Manifest.model_validate(content)
    except FileNotFoundError:
        raise ManifestError(
            "the manifest is missing", item=str(path), remedy="Install saco-data again"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"not readable as YAML ({error})", item=str(path), remedy="Correct the file"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise ManifestError(
            f"{key}: {first['msg']}",
            item=str(path),
            remedy="Correct the key; saco_data/catalog/manifest.py names them all",
        ) from error
    if path.stem != manifest.name:
        raise ManifestError(
            f"says it is {manifest.name!r}", item=str(path), remedy="Name the file after its subset"
        )
    return manifest


@functools.cache
def load(subset: str) -> Manifest:
    """The manifest of a subset. Raises UsageError for a name that is not one of the ten."""
    if subset not in SUBSETS:
        import difflib

        near = difflib.get_close_matches(subset, SUBSETS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"unknown subset {subset!r}", remedy=f"{hint}The ten are: {', '.join(SUBSETS)}"
        )
    return read(folder() / "silver" / f"{subset}.yaml")
