"""Which subset a prediction is of, and which annotation files it is evaluated with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from saco_data.catalog.manifest import Manifest
from saco_data.config.installation import page
from saco_data.config.settings import Settings
from saco_data.config.subset import SubsetConfig
from saco_data.dataset.pruned import find_partial, sidecar
from saco_data.model.errors import AnnotationError, UsageError

Named = tuple[Path, Manifest | None]


def find(
    words: Sequence[str],
    manifests: Sequence[Manifest],
    subset: str | None,
    iou_type: str,
    has_truth: bool,
) -> list[Named]:
    """The prediction files that are meant, each with its subset.

    A word is `subset=FILE`, a file, or a folder of the official dumps. With a ground truth of its
    own (`has_truth`) a file needs no subset. Raises UsageError.
    """
    found: list[Named] = []
    for word in words:
        name, equals, rest = word.partition("=")
        if equals and not Path(word).exists():
            if not rest:
                raise UsageError("names no file", item=word, remedy=f"Write {word}FILE")
            found.append((Path(rest), _manifest(name, manifests)))
            continue
        path = Path(word)
        if path.is_dir():
            there = _in_folder(path, manifests, subset, iou_type)
            if not there:
                raise UsageError(
                    "holds no predictions of a subset that is known",
                    item=word,
                    remedy=f"Name files as SUBSET=FILE; {page('evaluation.md')} shows the folders",
                )
            found += there
            continue
        if not path.is_file():
            raise UsageError("there is no such file", item=word, remedy="Name a prediction file")
        manifest = _manifest(subset, manifests) if subset else _of_path(path, manifests)
        if manifest is None and not has_truth:
            raise UsageError(
                "its name does not say which subset it is of",
                item=word,
                remedy=f"Write SUBSET={word}, or give --gt",
            )
        found.append((path, manifest))
    return found


def official_name(manifest: Manifest) -> str:
    """The name of a subset in the official dumps: `silver_nga_art`."""
    return manifest.annotations.file.removesuffix(".json").removesuffix("_merged_test")


def of_annotation_file(path: Path, manifests: Sequence[Manifest]) -> Manifest | None:
    """The subset whose annotation file has this name."""
    stem = path.stem.removesuffix("_original")
    known = {Path(each.annotations.file).stem: each for each in manifests}
    return known.get(stem)


def annotation_files(config: SubsetConfig) -> tuple[Path, Path | None]:
    """The ground truth of a subset, and the file of what this copy holds where that is less.

    The ground truth is the file as downloaded; where that is not at hand, the one for evaluation.
    Raises AnnotationError where there is neither.
    """
    derived, whole = config.derived, config.pristine
    partial = find_partial(derived)
    if whole.is_file():
        if partial is None and derived.is_file() and sidecar(derived).is_file():
            return whole, derived
        return whole, partial
    if derived.is_file():
        return derived, partial
    raise AnnotationError(
        "the annotation file is missing",
        item=str(whole),
        remedy=f"Run `saco annotations {config.id}`, or name one with --gt",
    )


def require_files(truths: Sequence[Path]) -> None:
    """Raises UsageError where a ground truth that the user named is no file."""
    for path in truths:
        if path.is_dir():
            raise UsageError(
                "is a folder; the ground truth of a prediction file is an annotation file",
                item=str(path),
                remedy="Name that file; folders of masks are compared with folders of masks",
            )
        if not path.exists():
            raise UsageError(
                "there is no such file", item=str(path), remedy="Name the ground truth's file"
            )


def owner_of_ids(settings: Settings) -> Callable[[list[Any]], str]:
    """A function that names the subsets that image ids belong to; "" where none has them."""

    from saco_data.evaluation.coverage import ids_in

    def name(wanted: list[Any]) -> str:
        owners = []
        for manifest in settings.registry.manifests:
            try:
                path, _ = annotation_files(settings.subset(manifest.id))
                if set(wanted) & set(ids_in(path)):
                    owners.append(manifest.id)
            except AnnotationError:
                continue
        return f"The first ones are ids of {', '.join(owners)}" if owners else ""

    return name


def _manifest(name: str, manifests: Sequence[Manifest]) -> Manifest:
    import difflib

    for each in manifests:
        if name.lower() in (each.id, each.full_name, official_name(each)):
            return each
    near = difflib.get_close_matches(name.lower(), [each.id for each in manifests], 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    there = ", ".join(each.id for each in manifests)
    raise UsageError(f"unknown subset {name!r}", remedy=f"{hint}There are: {there}")


def _of_path(path: Path, manifests: Sequence[Manifest]) -> Manifest | None:
    """The subset that a file or the folder it is in is called after."""
    parts = [path.stem, *(each.name for each in path.absolute().parents)]
    for part in parts:
        for each in manifests:
            if part in (each.id, official_name(each), f"silver_{each.id}"):
                return each
    return None


def _in_folder(
    folder: Path, manifests: Sequence[Manifest], subset: str | None, iou_type: str
) -> list[Named]:
    found: list[Named] = []
    chosen = [_manifest(subset, manifests)] if subset else manifests
    for manifest in chosen:
        for name in dict.fromkeys((official_name(manifest), f"silver_{manifest.id}", manifest.id)):
            file = f"coco_predictions_{iou_type}.json"
            places = (f"{name}/dumps/{name}/{file}", f"{name}/{file}", f"{name}.json")
            paths = [folder / place for place in places if (folder / place).is_file()]
            if paths:
                found.append((paths[0], manifest))
                break
    return found
