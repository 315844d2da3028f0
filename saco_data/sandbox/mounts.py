"""Where the miniature's raw media are to be had: in a folder, or at servers on loopback."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from saco_data.sandbox.http_server import FileServer
from saco_data.storage import files


@dataclass
class Mounts:
    """The places of raw media so far, and the config keys that lead to them.

    A context manager: the servers that a recipe starts stop with it. `server`, the one for plain
    files, is already running and is left running.
    """

    folder: Path
    server: FileServer
    # Keys for CONFIG_FRAMES.yaml.
    keys: dict[str, Any] = field(default_factory=dict)
    # Variables by which official clients find the servers that recipes started.
    environment: dict[str, str] = field(default_factory=dict)
    # The servers that recipes started, by subset: tests set faults there.
    servers: dict[str, Any] = field(default_factory=dict)
    # What stops together with these mounts.
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def write(self, name: str, content: bytes) -> str:
        """Writes a file into the folder; returns its path."""
        files.write_if_changed(self.folder / name, content)
        return str(self.folder / name)

    def serve(self, name: str, content: bytes) -> str:
        """Offers a file on the server; returns its URL."""
        self.server.files[f"/{name}"] = content
        return f"{self.server.url}/{name}"

    def set_endpoint(self, name: str, url: str) -> None:
        """Overrides an endpoint of a manifest."""
        self.keys.setdefault("endpoints", {})[name] = url

    def lift_rate_limit(self, subset: str) -> None:
        """Removes the polite rate of a subset: this server is our own."""
        limits = {"requests_per_second": 0, "sleep_seconds": [0, 0]}
        self.keys.setdefault("limits", {})[subset] = limits
