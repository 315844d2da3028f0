"""Makes the products of one raw asset. Runs in a worker process and returns plain records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from saco_data.config.regular import require_regular
from saco_data.media.content import Inspected, check_content
from saco_data.media.images import ImageError, check_image, encode_jpeg, resize_like_official
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Outcome, Product
from saco_data.storage import files, picture_folders
from saco_data.storage.names import safe_join


@dataclass(frozen=True, slots=True)
class Job:
    """One arrival and where its products go. `view`: the official `frames/` folder, if any.

    `digests`: the sha256 of products that were made before, by `file_name`; a product that is the
    unchanged raw file must still have it. `whole`: frames are written only if none failed. `known`:
    facts about the raw video, to which its fingerprint is added; None where it has one.
    `inspected`: what was found in the raw file while its archive was still being read.
    """

    subset: str
    how: Literal["copy", "resize", "frames", "member"]
    arrival: Arrival
    images: Path
    view: Path | None
    digests: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False
    known: Mapping[str, Any] | None = None
    inspected: Inspected | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One product file to verify; `sha256` where the ledger knows it. `view` as in `Job`."""

    subset: str
    path: Path
    product: Product
    sha256: str | None
    view: Path | None


def run(job: Job) -> list[Outcome]:
    """Makes the products of a job: one outcome each, in any order, and one of a new video.

    Raises DiskFull and OutputError; a raw file that cannot be used is an outcome.
    """
    if job.how == "frames":
        return list(_make_frames(job))
    return [
        _make_every_fourth(job, product) if product.is_folder else _make_image(job, product)
        for product in job.arrival.asset.products
    ]


def link_inspected(job: Job) -> list[Outcome] | None:
    """The outcome of a job whose one product is the raw file as it was inspected; None for others.

    Takes no time worth a worker. Raises DiskFull and OutputError.
    """
    products = job.arrival.asset.products
    if job.inspected is None or len(products) != 1 or products[0].is_folder:
        return None
    path = safe_join(job.images, products[0].file_name)
    outcome = _link_inspected(job, products[0], job.inspected, path)
    return None if outcome is None else [outcome]


def check(checks: list[Check]) -> list[Outcome]:
    """Verifies that product files exist, are unchanged, decode in full and have the right size."""
    return [_check_one(each) for each in checks]


def fits(found: tuple[int, int], product: Product, *, rotated: bool) -> bool:
    """Whether a picture's (width, height) is the annotated one.

    With `rotated` (for unchanged raw files) width and height may be swapped, as an EXIF orientation
    does. A product whose size is not known (0 x 0) may have any size.
    """
    wanted = product.pixels
    if wanted == (0, 0):
        return True
    return found == wanted or (rotated and found == (wanted[1], wanted[0]))


def _make_image(job: Job, product: Product) -> Outcome:
    raw = job.arrival.raw
    path = safe_join(job.images, product.file_name)
    if job.inspected and (outcome := _link_inspected(job, product, job.inspected, path)):
        return outcome
    try:
        data = raw.read_bytes() if isinstance(raw, Path) else raw
        found = check_content(data, product.file_name, vouched=job.arrival.vouched)
        content = resize_like_official(data, product.pixels) if job.how == "resize" else data
    except ImageError as error:
        return _failed(job, product, error.reason, str(error))
    if job.how == "copy" and not fits(found.size, product, rotated=True):
        return _failed(job, product, Reason.WRONG_SIZE, _describe_sizes(found.size, product))
    before = job.digests.get(product.file_name)
    if content is data and before not in (None, hashlib.sha256(data).hexdigest()):
        detail = "the raw file changed since it was fetched"
        return _failed(job, product, Reason.WRONG_DIGEST, detail)
    if content is data and isinstance(raw, Path) and job.arrival.owned:
        if not files.has_content(path, content):
            files.link_or_copy(raw, path)
    else:
        files.write_if_changed(path, content)
    return _done(job, product, len(content), hashlib.sha256(content).hexdigest(), **found.facts)


def _link_inspected(job: Job, product: Product, found: Inspected, path: Path) -> Outcome | None:
    """The outcome of a product that is the raw file as it was inspected; None if it is not."""
    raw = job.arrival.raw
    if (
        not isinstance(raw, Path)
        or not job.arrival.owned
        or files.stamp(raw) != found.stamp
        or job.digests.get(product.file_name) not in (None, found.sha256)
        or path.exists()
    ):
        return None
    files.link_or_copy(raw, path)
    return _done(job, product, found.bytes, found.sha256, **found.facts)


def _make_every_fourth(job: Job, product: Product) -> Outcome:
    from saco_data.media import every_fourth, frames

    assert isinstance(job.arrival.raw, Path)
    folder = safe_join(job.images, product.file_name)
    try:
        with picture_folders.open_folder(folder) as staging:
            made = every_fourth.write(job.arrival.raw, staging)
    except frames.FrameError as error:
        return _failed(job, product, error.reason, str(error))
    return Outcome(
        job.subset,
        product.file_name,
        Reason.OK,
        origin=job.arrival.origin,
        bytes=sum(picture_folders.pictures(folder).values()),
        sha256=picture_folders.sha256_of(folder),
        facts={
            "frames": made.frame_count,
            "way": made.way,
            **({"concealed": True} if made.concealed else {}),
            **frames.versions(),
        },
    )


def _make_frames(job: Job) -> Iterator[Outcome]:
    found: dict[str, Any] | None = None if job.known is None else {}
    results: Iterable[Outcome | _Frame] = _extract(job, found)
    if job.whole:
        results = list(results)
        failures = [each for each in results if isinstance(each, Outcome)]
        if failures:
            yield from failures
            return
    is_any_made = False
    for each in results:
        if isinstance(each, Outcome):
            yield each
            continue
        path = safe_join(job.images, each.product.file_name)
        files.write_if_changed(path, each.content)
        link_into_view(path, job.view, each.product)
        digest = hashlib.sha256(each.content).hexdigest()
        yield _done(job, each.product, len(each.content), digest, **each.facts)
        is_any_made = True
    if is_any_made and found is not None and (outcome := _fingerprint(job, found)):
        yield outcome


class _Frame(NamedTuple):
    product: Product
    content: bytes
    facts: dict[str, Any]


def _extract(job: Job, fingerprint: dict[str, Any] | None) -> Iterator[Outcome | _Frame]:
    from saco_data.media import frames

    assert isinstance(job.arrival.raw, Path)
    by_index: dict[int, list[Product]] = {}
    for product in job.arrival.asset.products:
        assert product.frame is not None
        by_index.setdefault(product.frame, []).append(product)
    try:
        for got in frames.extract(job.arrival.raw, by_index, fingerprint=fingerprint):
            members = by_index.pop(got.index)
            if isinstance(got, frames.FrameFailure):
                yield from (_failed(job, each, got.reason, got.detail) for each in members)
                continue
            facts = {"pts": got.pts, "seconds": got.seconds, "way": got.way, **frames.versions()}
            facts |= {"transfer": got.transfer} if got.transfer else {}
            facts |= {"concealed": True} if got.concealed else {}
            for product in members:
                width, height = product.pixels
                yield _Frame(product, encode_jpeg(got.rgb, (height, width)), facts)
    except frames.FrameError as error:
        for members in by_index.values():
            yield from (_failed(job, each, error.reason, str(error)) for each in members)


def _fingerprint(job: Job, found: dict[str, Any]) -> Outcome | None:
    """The outcome of the raw video, with the facts by which another version of it is noticed.

    `found`: its fingerprint, empty where it is not known yet. None if the system refuses to open
    once more what was just decoded, for want of memory say.
    """
    from saco_data.media.frames import FrameError, probe

    raw = job.arrival.raw
    assert isinstance(raw, Path) and job.known is not None
    try:
        found = found or probe(raw)
    except FrameError:
        return None
    return Outcome(
        job.subset,
        job.arrival.asset.key,
        Reason.OK,
        origin=job.arrival.origin,
        bytes=raw.stat().st_size,
        sha256=files.sha256_of(raw),
        facts={**job.known, **found},
        is_asset=True,
        tried=False,
    )


def link_into_view(path: Path, view: Path | None, product: Product) -> None:
    """Links a product into the official `frames/` folder, if there is one."""
    if view is not None:
        files.link_anywhere(path, safe_join(view, product.file_name))


def _done(job: Job, product: Product, size: int, sha256: str, **facts: object) -> Outcome:
    return Outcome(
        job.subset,
        product.file_name,
        Reason.OK,
        origin=job.arrival.origin,
        bytes=size,
        sha256=sha256,
        facts={
            **(job.arrival.facts if job.how != "frames" else {}),
            **facts,
            **product.meaning(),
        },
    )


def _failed(job: Job, product: Product, reason: Reason, detail: str) -> Outcome:
    return Outcome(job.subset, product.file_name, reason, detail, origin=job.arrival.origin)


def _check_one(each: Check) -> Outcome:
    name = each.product.file_name
    if each.product.is_folder:
        return _check_folder(each)

    failed = partial(Outcome, each.subset, name)

    try:
        require_regular(each.path)
        data = each.path.read_bytes()
    except OSError as error:
        return failed(Reason.PRODUCT_LOST, f"cannot be read ({error.strerror})")
    digest = hashlib.sha256(data).hexdigest()
    if each.sha256 is not None and digest != each.sha256:
        return failed(Reason.WRONG_DIGEST, "the file changed since it was written")
    try:
        # It was checked when it was made, and has not changed since.
        found = check_content(data, name, vouched=each.sha256 is not None)
    except ImageError as error:
        return failed(error.reason, str(error))
    if not fits(found.size, each.product, rotated=each.product.video is None):
        return failed(Reason.WRONG_SIZE, _describe_sizes(found.size, each.product))
    link_into_view(each.path, each.view, each.product)
    return Outcome(
        each.subset,
        name,
        Reason.OK,
        bytes=len(data),
        sha256=digest,
        facts={**found.facts, **each.product.meaning()},
        tried=False,
    )


def _check_folder(each: Check) -> Outcome:
    """The outcome of a folder of pictures: all there, unchanged, and each decodes in full."""
    from saco_data.media import every_fourth

    name = each.product.file_name

    failed = partial(Outcome, each.subset, name)

    try:
        found = picture_folders.pictures(each.path)
        digest = picture_folders.sha256_of(each.path)
        if each.sha256 is not None and digest != each.sha256:
            return failed(Reason.WRONG_DIGEST, "a picture changed since it was written")
        if not found or list(found) != every_fourth.names(len(found)):
            return failed(Reason.PRODUCT_LOST, "pictures are missing")
        if each.sha256 is None:
            for picture in found:
                check_image((each.path / picture).read_bytes(), name=f"{name}/{picture}")
    except OSError as error:
        return failed(Reason.PRODUCT_LOST, f"cannot be read ({error.strerror})")
    except ImageError as error:
        return failed(error.reason, str(error))
    size = sum(found.values())
    return Outcome(each.subset, name, Reason.OK, bytes=size, sha256=digest, tried=False)


def _describe_sizes(found: tuple[int, int], product: Product) -> str:
    width, height = product.pixels
    return f"is {found[0]} x {found[1]}, the annotation says {width} x {height}"
