"""The public names with the types that users rely on: checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas
from numpy.typing import NDArray
from PIL import Image

import saco_data as saco
from saco_data.config.settings import Settings
from saco_data.dataset.dataset import Dataset, Subset
from saco_data.dataset.item import Item, Picture
from saco_data.dataset.masked_pictures import MaskedSubset
from saco_data.dataset.train_videos import TrainSubset
from saco_data.dataset.videos import VideoSubset
from saco_data.engine.forecast import Table
from saco_data.engine.session import Finished
from saco_data.engine.status import Status
from saco_data.evaluation.results import Result


def read() -> None:
    settings = saco.read_config()
    assert_type(settings, Settings)
    for source in ("config.yaml", Path("config.yaml"), settings, None):
        assert_type(saco.read_config(source), Settings)
        assert_type(saco.load(source), Dataset)
    assert_type(saco.load("s3://bucket/silver"), Dataset)
    assert_type(saco.status("s3://bucket/silver"), Status)
    saco.read_config(1)  # type: ignore[arg-type]
    assert_type(saco.__version__, str)


def work() -> None:
    for subsets in ("nga", ["nga", "sav"], ("nga",)):
        assert_type(saco.plan(subsets=subsets), Table)
        assert_type(saco.prepare(subsets=subsets, confirm_gone=True), Finished)
        assert_type(saco.status(subsets=subsets), Status)
    assert_type([line.files for line in saco.plan().lines], list[int | None])
    assert_type(saco.prepare("config.yaml", "nga").code, int)
    assert_type([each.complete for each in saco.status().subsets], list[bool])
    saco.plan(subsets=1)  # type: ignore[arg-type]
    saco.prepare("config.yaml", "nga", True)  # type: ignore[call-arg]  # only by keyword


def look(subset: Subset) -> None:
    copy = saco.load("data/silver")
    assert_type(copy["nga"], Subset)
    assert_type(copy["sa-v/val"], VideoSubset)
    assert_type(copy["sa-v/train"], TrainSubset)
    assert_type(copy["sa1b/train"], MaskedSubset)
    assert_type([each.masks()[0].mask for each in copy["sa1b/train"]], list[NDArray[np.bool_]])
    any_subset = copy[str(Path("any"))]
    assert_type(any_subset, Subset | VideoSubset | TrainSubset | MaskedSubset)
    assert_type(list(copy.values()), list[Subset | VideoSubset | TrainSubset | MaskedSubset])
    copy[0]  # type: ignore[call-overload]
    subset = copy["nga"]
    assert_type(subset[0], Item)
    assert_type(subset[:10], list[Item])
    assert_type(list(subset.pictures()), list[Picture])
    assert_type(subset.to_pandas(), pandas.DataFrame)
    for item in subset:
        assert_type(item.id, int | float | str)
        assert_type(item.phrase, str)
        assert_type((item.width, item.height), tuple[int, int])
        assert_type(item.is_negative, bool)
        assert_type(item.masks, NDArray[np.bool_])
        assert_type(item.boxes, NDArray[np.float64])
        assert_type(item.image(longest=100), Image.Image)


def evaluate(subset: Subset) -> None:
    with saco.Predictions("found.json") as out:
        assert_type(out, saco.Predictions)
        for item in subset:
            out.add(item, item.masks, [0.5] * len(item.masks))
            out.nothing(item)
            out.add(item.id, item.masks, [])  # type: ignore[arg-type]
    for truth in (subset, "truth.json", Path("truth.json"), ["a.json", "b.json", "c.json"]):
        assert_type(saco.evaluate("found.json", truth, jobs=2), Result)
    result = saco.evaluate(Path("found.json"), subset)
    assert_type(result.average["cgF1"], float)
    assert_type(result.as_json(), dict[str, Any])
