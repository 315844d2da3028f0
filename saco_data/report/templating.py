"""What our HTML pages share: the template engine, scripts and their hashes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass
class Built:
    """The page that was written: its size in bytes, numbers of pictures and of rows."""

    path: Path
    bytes: int
    pictures: int
    rows: int


def make_environment() -> Environment:
    """The template engine of our pages: everything is escaped, a missing name is an error."""
    return Environment(
        loader=PackageLoader("saco_data.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def read_template(name: str) -> str:
    """The text of a file beside the templates."""
    return resources.files("saco_data.report").joinpath("templates", name).read_text("utf-8")


def read_script(*names: str) -> str:
    """The script of a page from its parts, `templates/scripts/<name>.js`, in one scope."""
    parts = "\n".join(read_template(f"scripts/{name}.js") for name in names)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def hash_of(text: str) -> str:
    """The sha256 of a script or style as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
