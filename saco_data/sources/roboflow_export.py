"""Annotation files from an export of Roboflow, with the original names restored."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from saco_data.config.subset import SubsetConfig
from saco_data.dataset.raw_json import AGAIN
from saco_data.model.errors import AnnotationError, Blocked
from saco_data.model.reasons import Reason
from saco_data.sources.annotation_files import STAGING, Annotations, Fetched
from saco_data.storage import untrusted_json
from saco_data.storage.disk_errors import explain_errors
from saco_data.transports.archive import members
from saco_data.transports.services.roboflow import COCO, ROOT, Roboflow, original_name


def fetch_annotations(at: Annotations, config: SubsetConfig) -> Fetched:
    """Installs the annotation file of a subset, with its original file names.

    Raises Blocked, Incomplete, AnnotationError (also for an export without phrases), DiskFull,
    OutputError.
    """
    with export(config, config.downloaded.parent / STAGING) as (archive, origin):
        content = read_coco(archive)
        if any("text_input" not in image for image in content["images"]):
            raise AnnotationError(
                "Roboflow's export lacks `text_input`, which annotations need",
                item=config.id,
                remedy="Take them from the Hugging Face Hub: `saco annotations`",
            )
        for image in content["images"]:
            image["file_name"] = original_name(image)
        path = archive.with_name(config.manifest.annotations.file)
        with explain_errors(path):
            path.write_bytes(json.dumps(content).encode())
        return at.install(config, path, origin)


@contextlib.contextmanager
def export(config: SubsetConfig, folder: Path) -> Iterator[tuple[Path, str]]:
    """Downloads the zip of a subset; gives its path and origin, and removes it afterwards."""
    project = config.manifest.annotations.roboflow_project
    if project is None:
        raise Blocked(
            "Roboflow does not have this subset",
            item=config.id,
            remedy="Use the Hugging Face Hub: `saco annotations`",
            reason=Reason.RAW_MISSING,
        )
    secret = config.keys.roboflow_api_key
    key = secret.get_secret_value() if secret else os.environ.get("ROBOFLOW_API_KEY")
    if not key:
        raise Blocked(
            "no Roboflow key is known",
            item=config.id,
            remedy="Set ROBOFLOW_API_KEY to a key of your account at app.roboflow.com",
            reason=Reason.CREDENTIALS_MISSING,
        )
    root = config.keys.endpoints.get("roboflow", ROOT).rstrip("/")
    archive = folder / f"{project}.zip"
    origin = Roboflow(key, root).export(project, archive)
    try:
        yield archive, origin
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_coco(archive: Path) -> dict[str, Any]:
    """The content of the annotation file in an export. Raises AnnotationError."""
    try:
        contents = [
            untrusted_json.parse(member.read())
            for member in members(archive, lambda name: PurePosixPath(name).name == COCO)
        ]
    except ValueError as error:
        raise AnnotationError(
            f"an annotation file of the export is not whole JSON ({error})",
            item=archive.name,
            remedy=AGAIN,
        ) from error
    usable = [item for item in contents if isinstance(item, dict) and item.get("images")]
    if len(usable) != 1:
        raise AnnotationError(
            f"the export holds {len(usable)} annotation files instead of one",
            item=archive.name,
            remedy=AGAIN,
        )
    content: dict[str, Any] = usable[0]
    images = content["images"]
    if not isinstance(images, list) or not all(map(_is_named, images)):
        raise AnnotationError(
            "the export holds no list of images with a `file_name` each",
            item=archive.name,
            remedy=AGAIN,
        )
    return content


def _is_named(image: object) -> bool:
    return isinstance(image, dict) and isinstance(image.get("file_name"), str)
