"""The licences of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def licence_of(facts: Mapping[str, Any], subset_licence: str) -> str:
    """The licence of an item: what the gallery says of a picture, else that of its subset."""
    if facts.get("openaccess") is True:
        return "CC0 1.0 (open access)"
    if facts.get("openaccess") is False:
        return "not open access: the gallery's terms apply"
    return subset_licence
