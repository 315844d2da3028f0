"""The commented config that the package ships, filled with a user's own values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from saco_data.config.settings import FILE_NAME


def shipped() -> str:
    """The text of the default config: in the wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / FILE_NAME
    file = inside if inside.is_file() else package.parent / FILE_NAME
    return file.read_text(encoding="utf-8")


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
