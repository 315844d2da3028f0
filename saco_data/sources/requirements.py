"""What the user must do before a subset can be prepared. Quick; sends no request."""

from __future__ import annotations

import os

from saco_data.config.subset import SubsetConfig, has_token
from saco_data.model.errors import SacoError
from saco_data.sources.base import Source


def missing_annotations(config: SubsetConfig) -> str:
    """What is missing to get the annotation file; "" if it exists or can be fetched."""
    if config.manifest.is_listed:
        return ""  # made from the archive
    if "annotations" in config.manifest.endpoints:
        return ""
    own_hub = config.keys.endpoints.get("hub") or os.environ.get("HF_ENDPOINT")
    if config.pristine.is_file() or has_token(config.keys) or own_hub:
        return ""
    dataset = config.hub_dataset
    return (
        "no annotation file and no token to fetch it with. Accept the terms at "
        f"huggingface.co/datasets/{dataset} and set HF_TOKEN"
    )


def missing_raw_media(source: Source) -> str:
    """What is missing to get the raw media; "" if nothing is."""
    try:
        return source.missing_requirement()
    except SacoError as error:
        return str(error)
