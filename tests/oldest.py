"""Prints the oldest version that each range in pyproject.toml allows, as pip constraints."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def oldest() -> list[str]:
    """`name==version` for each requirement with a lower bound, those of the extras included."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(each for name in extras for each in extras[name])]
    found = (re.match(r"([\w.-]+)(?:\[[^]]*])?>=([\w.]+)", line) for line in lines)
    return sorted({f"{match[1]}=={match[2]}" for match in found if match})


if __name__ == "__main__":
    print("\n".join(oldest()))
