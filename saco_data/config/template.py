"""The commented config that the package ships, filled with a user's own values."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from saco_data.config.settings import FILE_NAME
from saco_data.model import shipped


def default() -> str:
    """The text of the default config."""
    return shipped.find(FILE_NAME).read_text(encoding="utf-8")


def fill(text: str, values: Mapping[str, object]) -> str:
    """`text` with each key's line, commented out or not, set to its value.

    Keys without a line are added at the end. Comments and the order of lines stay.
    """
    for key, value in values.items():
        line = yaml.safe_dump({key: value}, allow_unicode=True, width=10_000).rstrip("\n")
        pattern = re.compile(rf"^(?:# )?{re.escape(key)}:.*$", re.MULTILINE)
        if place := pattern.search(text):
            text = f"{text[: place.start()]}{line}{text[place.end() :]}"
        else:
            text = f"{text.rstrip()}\n{line}\n"
    return text
