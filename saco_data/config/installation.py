"""Says how to install parts of this package, in the way the package was installed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from saco_data.model import shipped

NAME = "saco-data"


def how_to_install(extra: str) -> str:
    """The shell command that adds an extra of this package to the running Python.

    pip records in `direct_url.json` where a package came from, unless that was an index:
    https://packaging.python.org/en/latest/specifications/direct-url/
    """
    installed = metadata.distribution(NAME)
    record = json.loads(installed.read_text("direct_url.json") or "{}")
    return f"{pip_command()} install {_arguments(extra, record, installed.requires or ())}"


def page(name: str) -> str:
    """Where a page of the docs is on this machine: in the package, or in its checkout."""
    return str(shipped.find(f"docs/{name}"))


def pip_command() -> str:
    """How a shell calls the pip of the running Python: `pip`, if that is the one it finds."""
    beside = Path(sys.executable).parent
    found = shutil.which("pip")
    if found is not None and Path(found).parent == beside:
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"


def _arguments(extra: str, record: dict[str, Any], requires: list[str] | tuple[str, ...]) -> str:
    if not record:
        return f"'{NAME}[{extra}]'"
    url: str = record["url"]
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme == "file" and not path.exists():
        # The wheel or folder was removed since: what the extra needs can still be installed.
        ours = (each for each in requires if re.search(rf"extra == ['\"]{extra}['\"]", each))
        return shlex.join(each.split(";")[0].strip() for each in ours)
    if record.get("dir_info", {}).get("editable"):
        return f"-e {shlex.quote(f'{path}[{extra}]')}"
    if vcs := record.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if inside := record.get("subdirectory"):
        url += f"#subdirectory={inside}"
    return shlex.quote(f"{NAME}[{extra}] @ {url}")
