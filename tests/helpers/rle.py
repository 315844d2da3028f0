"""Masks as COCO writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle


def encode(mask: NDArray[Any]) -> dict[str, Any]:
    """A binary mask, [height, width], as compressed RLE in text."""
    counts = rle.encode(np.asfortranarray(mask, np.uint8))["counts"]
    assert isinstance(counts, bytes)
    return {"size": list(mask.shape), "counts": counts.decode()}
