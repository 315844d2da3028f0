"""What a page shows, gathered before it is rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from saco_data.catalog.manifest import Manifest
from saco_data.engine import status
from saco_data.model.reasons import Reason
from saco_data.report.comparison import Comparison
from saco_data.report.contents import Contents
from saco_data.report.file_table import FileTable
from saco_data.report.gallery import Gallery
from saco_data.report.losses import Loss
from saco_data.report.timeline import Timeline


@dataclass
class Subset:
    """One subset as the page shows it; times in seconds since the epoch."""

    facts: Manifest
    status: status.SubsetStatus
    bytes: int
    first: int | None = None
    last: int | None = None
    note: str = ""


@dataclass
class Data:
    """All that a page shows. `paragraph`: that of the card; `no_paragraph`: why there is none."""

    now: int
    images: str
    title: str
    subsets: list[Subset] = field(default_factory=list)
    losses: dict[Reason, Loss] = field(default_factory=dict)
    gallery: Gallery = field(default_factory=Gallery)
    contents: Contents = field(default_factory=Contents)
    timelines: list[Timeline] = field(default_factory=list)
    rows: FileTable = field(default_factory=FileTable)
    times: list[int] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    other: str = ""
    paragraph: str = ""
    no_paragraph: str = ""
    evaluator: list[str] = field(default_factory=list)
