"""A deliberately imperfect prediction, made from the ground truth of the miniature Silver."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saco_data.config.settings import Settings
from saco_data.dataset.dataset import Subset, SubsetFiles
from saco_data.dataset.item import Item
from saco_data.dataset.predictions import Predictions
from saco_data.dataset.pruned import find_partial
from saco_data.evaluation import naming
from saco_data.evaluation.files import Options, Task, evaluate_files
from saco_data.evaluation.results import Result

SHIFTED, DROPPED, INVENTED = 0.4, 0.15, 0.2  # shares of masks, of masks, of negatives


def evaluate(settings: Settings, subsets: Iterable[str], folder: Path) -> Result:
    """The official numbers of an imperfect prediction of each subset.

    Writes `<subset>.json` into `folder`, unless it is there. The published counts are those of the
    real subsets, so the miniature's are not compared with them.
    """
    tasks = []
    for name in subsets:
        config, path = settings.subset(name), folder / f"{name}.json"
        if not path.is_file():
            annotations = find_partial(config.derived) or config.derived
            predict(Subset(name, SubsetFiles(annotations, config.images)), path)
        truth, copy = naming.annotation_files(config)
        tasks.append(Task(name, path, (truth,), copy))
    return evaluate_files(tasks, Options())


def predict(subset: Subset, to: Path) -> None:
    """Writes the ground truth as a prediction, with some masks shifted, dropped or invented.

    The same for the same subset.
    """
    chance = random.Random(subset.name)  # noqa: S311
    with Predictions(to) as out:
        for item in subset:
            masks = _spoil(chance, item)
            out.add(item, masks, [round(chance.uniform(0.55, 0.95), 3) for _ in masks])


def _spoil(chance: random.Random, item: Item) -> NDArray[np.bool_]:
    """The masks of an item, bool [n, height, width], no longer all right."""
    masks = item.masks
    if item.is_negative and chance.random() < INVENTED:
        masks = np.zeros((1, item.height, item.width), bool)
        masks[0, item.height // 4 : item.height // 2, item.width // 4 : item.width // 2] = True
        return masks
    kept = [mask for mask in masks if chance.random() >= DROPPED]
    for at, mask in enumerate(kept):
        if chance.random() < SHIFTED:
            # Up to a twelfth of the picture: IoUs from about 0.5 to 0.95.
            kept[at] = np.roll(mask, chance.randint(1, item.width // 12), axis=1)
    return np.array(kept, bool).reshape(-1, item.height, item.width)
