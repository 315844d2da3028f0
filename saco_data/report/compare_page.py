"""`saco compare LOCK --to FILE`: pictures that differ, both candidates side by side, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from saco_data import executors
from saco_data.config.regular import require_regular
from saco_data.config.settings import Settings
from saco_data.dataset.pairs import plain
from saco_data.engine.subset import Subset, bind_one
from saco_data.executors import LOST, Executor
from saco_data.media import luma
from saco_data.media.thumbnails import shrink_frames
from saco_data.model import words
from saco_data.report.gallery import THUMBNAIL, as_uri
from saco_data.report.templating import Built, hash_of, make_environment, read_template
from saco_data.share.compare import Compared, Comparison
from saco_data.share.matching import Verdict
from saco_data.storage import files
from saco_data.storage.names import UnsafeName, safe_join

SHOWN = 24  # pictures of each verdict and subset
_SECONDS = 600.0
_ORDER = (Verdict.SHIFTED, Verdict.DIFFERENT, Verdict.CANNOT_TELL)


@dataclass
class Shown:
    """A picture of this copy, and what fits the lock better: another frame, or the lock's blocks.

    All as data URIs.
    """

    subset: str
    compared: Compared
    own: str
    other: str
    caption: str


def write(settings: Settings, found: Comparison, to: Path) -> Built:
    """Writes the page. Raises DiskFull, OutputError."""
    with executors.running(settings) as running:
        shown = [
            card
            for name, each in found.subsets.items()
            for verdict in _ORDER
            for card in _show(bind_one(settings, name), each.files, verdict, running)
        ]
    html = _render(found, shown).encode("utf-8", "replace")
    files.write_if_changed(to, html)
    rows = sum(len(each.files) for each in found.subsets.values())
    return Built(to, len(html), len(shown), rows)


def _show(
    subset: Subset, compared: list[Compared], verdict: Verdict, executor: Executor
) -> Iterator[Shown]:
    chosen = [
        each for each in compared if each.judgement.verdict is verdict and not each.judgement.still
    ]
    for each in chosen[:SHOWN]:
        own = _open(subset, each.file)
        if own is None:
            continue
        shift, frame = each.judgement.shift, each.frame
        if verdict is Verdict.SHIFTED and shift and frame is not None:
            other = _frame(subset, each.video or "", frame + shift, executor)
            caption = f"frame {frame + shift} here, which fits the lock"
        else:
            other = ""
            caption = "the lock's descriptor"
        if not other and each.reference is not None:
            other = _blocks(each.reference)
        yield Shown(subset.id, each, own, other, caption)


def _open(subset: Subset, name: str) -> str | None:
    try:
        path = safe_join(subset.config.images, name)
        require_regular(path)
        with Image.open(path) as image:
            image.draft("RGB", (THUMBNAIL, THUMBNAIL))
            picture = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, UnsafeName, Image.DecompressionBombError):
        return None
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return as_uri(picture, "JPEG", quality=75)


def _frame(subset: Subset, video: str, number: int, executor: Executor) -> str:
    """A frame of a video as a data URI; "" where it cannot be had."""
    try:
        path = subset.source.raw_path(video)
        future = executor.submit(shrink_frames, path, [number], THUMBNAIL, seconds=_SECONDS)
        content = future.result().get(number)
    except (UnsafeName, *LOST):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}" if content else ""


def _blocks(descriptor: np.typing.NDArray[np.uint8]) -> str:
    image = Image.fromarray(descriptor.reshape(luma.ROWS, luma.COLUMNS))
    large = image.resize((8 * luma.COLUMNS, 8 * luma.ROWS), Image.Resampling.NEAREST)
    return as_uri(large, "PNG")


def _render(found: Comparison, shown: list[Shown]) -> str:
    environment = make_environment()
    environment.filters.update(number=words.number, plain=plain)
    style = read_template("page.css")
    return environment.get_template("compare.html.j2").render(
        found=found,
        verdicts=list(Verdict),
        shown=shown,
        version=metadata.version("saco-data"),
        style=Markup(style),  # noqa: S704 - a file of this package
        style_hash=hash_of(style),
    )
