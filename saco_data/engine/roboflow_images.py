"""Processed pictures from Roboflow.

They were compressed again, so their pixels differ from the originals: the ledger records it for
each of them. Only pictures of the annotated size are taken.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from saco_data.config.settings import Settings
from saco_data.engine.reading import read_annotations
from saco_data.engine.subset import bind_one
from saco_data.media import process
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources import roboflow_export
from saco_data.sources.annotation_files import STAGING
from saco_data.state.ledger import Ledger
from saco_data.state.lock import Lock
from saco_data.transports.archive import ArchiveDamaged, Member, members
from saco_data.transports.services.roboflow import Names, original_name


def fetch_images(settings: Settings, name: str) -> dict[Reason, int]:
    """Makes products that are not done from Roboflow's pictures; returns how many by reason.

    An unusable picture does not change the record of a product whose original is gone. The
    annotation file must be at hand. Raises LockHeld, Blocked, Incomplete, AnnotationError,
    DiskFull, OutputError.
    """
    counts: dict[Reason, int] = {}
    subset = bind_one(settings, name)
    with Lock(settings.state), Ledger(settings.state) as ledger:
        index = read_annotations(subset, ledger)
        done = ledger.items(subset.id, state=State.DONE)
        gone = ledger.items(subset.id, state=State.GONE)
        folder = subset.config.images
        wanted = {
            name: product
            for name, product in index.products.items()
            if name not in done or not (folder / name).is_file()
        }
        if not wanted:
            return counts
        with roboflow_export.export(subset.config, settings.state / STAGING) as (archive, origin):
            names = Names(index.products)
            product_names = {
                image["file_name"]: names.find(original_name(image))
                for image in roboflow_export.read_coco(archive)["images"]
            }
            for member in members(archive, lambda name: PurePosixPath(name).name in product_names):
                wanted_name = product_names[PurePosixPath(member.name).name]
                product = wanted.pop(wanted_name, None) if wanted_name else None
                if product is None:
                    continue
                outcome = _make_product(subset.id, member, product, folder, origin)
                counts[outcome.reason] = counts.get(outcome.reason, 0) + 1
                if outcome.state is State.DONE or wanted_name not in gone:
                    ledger.record([outcome])
                    # Commit each one: a picture without its record would pass for an original.
                    ledger.commit()
    return counts


def _make_product(
    subset: str, member: Member, product: Product, folder: Path, origin: str
) -> Outcome:
    """Writes a picture of the export as a product; returns its outcome."""
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
