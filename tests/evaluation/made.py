"""Made ground truths and predictions: small random masks, some found, some not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from tests.helpers.rle import encode

HEIGHT, WIDTH = 12, 16
Mask = NDArray[np.bool_]


def rectangle(dice: random.Random) -> Mask:
    """A rectangle somewhere in the picture, at least one pixel."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    y, x = dice.randrange(HEIGHT), dice.randrange(WIDTH)
    mask[y : y + dice.randint(1, 6), x : x + dice.randint(1, 6)] = True
    return mask


def entry(image: Any, mask: Mask, score: float = 0.9, **more: Any) -> dict[str, Any]:
    """An entry of a prediction file."""
    box = [float(each) for each in rle.toBbox(rle.encode(np.asfortranarray(mask, np.uint8)))]
    fractions = [box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT]
    return {
        "image_id": image,
        "category_id": 1,
        "score": score,
        "segmentation": encode(mask),
        "bbox": [round(each, 5) for each in fractions],
        **more,
    }


def truth(masks: dict[int, list[Mask]], pictures: int = 2, **more: Any) -> dict[str, Any]:
    """A ground truth: masks by image id; `pictures`: image-NPs of one picture."""
    annotations: list[dict[str, Any]] = []
    for image, group in masks.items():
        for mask in group:
            made = entry(image, mask)
            del made["score"]
            annotations.append({"id": len(annotations) + 1, "iscrowd": 0, "area": 0.1, **made})
    images = [
        {
            "id": image,
            "file_name": f"{at // pictures}.jpg",
            "text_input": "thing",
            "height": HEIGHT,
            "width": WIDTH,
            "is_instance_exhaustive": 1,
        }
        for at, image in enumerate(masks)
    ]
    categories = [{"id": 1, "name": "object"}]
    return {"images": images, "annotations": annotations, "categories": categories, **more}


def some(seed: int, count: int = 12) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A ground truth of `count` image-NPs and predictions: near, far, missing, too many."""
    dice = random.Random(seed)
    masks = {
        at + 10: [rectangle(dice) for _ in range(dice.choice((0, 0, 1, 2, 3)))]
        for at in range(count)
    }
    found = []
    for image, group in masks.items():
        for mask in group:
            if dice.random() < 0.8:
                near = mask.copy()
                near[dice.randrange(HEIGHT)] ^= dice.random() < 0.5
                found.append(entry(image, near, round(dice.uniform(0.4, 1), 5)))
        if dice.random() < 0.3:
            found.append(entry(image, rectangle(dice), round(dice.uniform(0.4, 1), 5)))
    return truth(masks), found


def write(path: Path, content: Any) -> Path:
    """Writes JSON and returns the path."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
