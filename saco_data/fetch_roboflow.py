"""Annotations and ready processed pictures from Roboflow.

Its pictures were compressed again: their pixels differ from the originals', and the ledger says so
of each. Only pictures of the annotated size are taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from saco_data import files, untrusted
from saco_data.annotations import AGAIN
from saco_data.books import read_annotations
from saco_data.config import Settings
from saco_data.errors import AnnotationError, Blocked
from saco_data.fetch_annotations import STAGING, Annotations, Fetched
from saco_data.ledger import Ledger
from saco_data.lock import Lock
from saco_data.media import process
from saco_data.records import Arrival, Asset, Outcome, Product, Reason, State
from saco_data.transports.archive import ArchiveDamaged, Member, members
from saco_data.transports.roboflow import COCO, ROOT, Names, Roboflow, original_name


def fetch_annotations(at: Annotations, subset: str) -> Fetched:
    """The annotation file of a subset, original file names restored.

    Raises Blocked, Incomplete, AnnotationError (an export that lacks the phrases cannot serve),
    DiskFull, OutputError.
    """
    with _export(at.settings, subset, at.settings.annotations / STAGING) as (archive, origin):
        content = _coco(archive)
        if any("text_input" not in image for image in content["images"]):
            raise AnnotationError(
                "Roboflow's export lacks `text_input`: it cannot serve as annotations",
                item=subset,
                remedy="Take them from the Hugging Face Hub: `saco annotations`",
            )
        for image in content["images"]:
            image["file_name"] = original_name(image)
        path = archive.with_name(at.settings.manifest(subset).annotations.file)
        with files.explained(path):
            path.write_bytes(json.dumps(content).encode())
        return at.install(subset, path, origin)


def fetch_images(settings: Settings, subset: str) -> dict[Reason, int]:
    """Takes ready pictures for products that are not done; returns how many by reason.

    A picture that is of no use is no news of an original that is gone.
    The annotation file must be at hand. Raises LockHeld, Blocked, Incomplete, AnnotationError,
    DiskFull, OutputError.
    """
    counts: dict[Reason, int] = {}
    with Lock(settings.state), Ledger(settings.state) as ledger:
        index = read_annotations(settings, ledger, subset)
        done = ledger.items(subset, state=State.DONE)
        gone = ledger.items(subset, state=State.GONE)
        folder = settings.images(subset)
        wanted = {
            name: product
            for name, product in index.products.items()
            if name not in done or not (folder / name).is_file()
        }
        if not wanted:
            return counts
        with _export(settings, subset, settings.state / STAGING) as (archive, origin):
            names = Names(index.products)
            found = {
                image["file_name"]: names.find(original_name(image))
                for image in _coco(archive)["images"]
            }
            for member in members(archive, lambda name: PurePosixPath(name).name in found):
                name = found[PurePosixPath(member.name).name]
                product = wanted.pop(name, None) if name else None
                if product is None:
                    continue
                outcome = _taken(subset, member, product, folder, origin)
                counts[outcome.reason] = counts.get(outcome.reason, 0) + 1
                if outcome.state is State.DONE or name not in gone:
                    ledger.record([outcome])
                    # A picture of which nothing is known would pass for an original.
                    ledger.commit()
    return counts


def _taken(subset: str, member: Member, product: Product, folder: Path, origin: str) -> Outcome:
    """Makes a picture of the export a product."""
    try:
        if member.refusal:
            raise ArchiveDamaged(member.refusal, alone=True)
        content = member.read()
    except ArchiveDamaged as error:
        if not error.alone:
            raise
        return Outcome(subset, product.file_name, error.reason, error.what, origin)
    asset = Asset(product.file_name, (product,))
    arrival = Arrival(asset, content, origin, facts={"recompressed": True})
    (outcome,) = process.run(process.Job(subset, "copy", arrival, folder, None))
    return outcome


@contextlib.contextmanager
def _export(settings: Settings, subset: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """The zip of a subset and what it is; it is removed afterwards."""
    project = settings.manifest(subset).annotations.roboflow_project
    if project is None:
        raise Blocked(
            "Roboflow does not have this subset",
            item=subset,
            remedy="Use the Hugging Face Hub: `saco annotations`",
            reason=Reason.RAW_MISSING,
        )
    secret = settings.keys.roboflow_api_key
    key = secret.get_secret_value() if secret else os.environ.get("ROBOFLOW_API_KEY")
    if not key:
        raise Blocked(
            "no Roboflow key is known",
            item=subset,
            remedy="Set ROBOFLOW_API_KEY to a key of your account at app.roboflow.com",
            reason=Reason.CREDENTIALS_MISSING,
        )
    root = settings.keys.endpoints.get("roboflow", ROOT).rstrip("/")
    archive = folder / f"{project}.zip"
    origin = Roboflow(key, root).export(project, archive)
    try:
        yield archive, origin
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _coco(archive: Path) -> dict[str, Any]:
    """The one annotation file of an export."""
    try:
        found = [
            untrusted.parse(member.read())
            for member in members(archive, lambda name: PurePosixPath(name).name == COCO)
        ]
    except ValueError as error:
        raise AnnotationError(
            f"an annotation file of the export is not whole JSON ({error})",
            item=archive.name,
            remedy=AGAIN,
        ) from error
    usable = [each for each in found if isinstance(each, dict) and each.get("images")]
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
