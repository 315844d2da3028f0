"""What the user must still do before a subset can be prepared. Cheap, and asks no server."""

from __future__ import annotations

import os
from pathlib import Path

from saco_data import sources
from saco_data.config.settings import Settings
from saco_data.model.errors import SacoError


def annotation_file(settings: Settings, subset: str) -> str:
    """What stands between the user and the annotation file; "" if it is there or can be had."""
    own_hub = settings.keys.endpoints.get("hub") or os.environ.get("HF_ENDPOINT")
    if settings.pristine(subset).is_file() or has_token(settings) or own_hub:
        return ""
    return (
        "no annotation file and no token to fetch it with. Accept the terms at "
        "huggingface.co/datasets/facebook/SACo-Silver and set HF_TOKEN"
    )


def raw_media(settings: Settings, subset: str) -> str:
    """What stands between the user and the raw media; "" for nothing."""
    try:
        return sources.get(subset, settings).needs()
    except SacoError as error:
        return str(error)


def has_token(settings: Settings) -> bool:
    """Whether a token for the Hugging Face Hub is at hand: config, environment or login."""
    if settings.keys.hf_token or os.environ.get("HF_TOKEN"):
        return True
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    return Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser().is_file()
