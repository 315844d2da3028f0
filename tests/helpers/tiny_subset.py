"""A subset that is quick to prepare: five small pictures in an archive on disk or on a server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from saco_data.config.settings import Settings
from saco_data.engine import session
from saco_data.engine.events import Stages
from saco_data.engine.session import Finished
from saco_data.engine.sync import Synced, sync
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar
from tests.helpers.annotations import annotate, document, image
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pictures import plain_jpeg
from tests.helpers.pipeline import Notes

SUBSET: Final = "bdd100k"
NAMES = [f"{number:08x}-{number * 7919:08x}.jpg" for number in range(5)]
START = 1_800_000_000
HOUR = 3600
DAY = 24 * HOUR


def picture(number: int) -> bytes:
    """One of five JPEGs, 16 x 12 pixels."""
    return plain_jpeg(16, 12, (number * 50, 90, 200 - number * 30))


PICTURES = {name: picture(number) for number, name in enumerate(NAMES)}


def archive(names: Iterable[str], version: int = 0) -> bytes:
    """The archive of these pictures; another version has another digest."""
    members = {f"bdd100k/images/100k/train/{name}": PICTURES[name] for name in sorted(names)}
    return pack_tar({"bdd100k/README": str(version).encode(), **members})


def pairs(names: Iterable[str], revision: int = 0) -> dict[str, Any]:
    """Annotations: two pairs a file, not next to each other; the second one is negative."""
    chosen = list(names)
    images = [
        image(turn * 100 + NAMES.index(name), name, width=16, height=12, text_input=f"{turn}")
        for turn in range(2)
        for name in chosen
    ]
    masks = [{"id": n, "image_id": pair["id"]} for n, pair in enumerate(images[: len(chosen)])]
    return {**document(*images, masks=masks), "info": {"revision": revision}}


class TinySubset:
    """The subset in a folder, its source, and a clock that only moves when told to."""

    def __init__(
        self, folder: Path, *, raw: str = "", silver_path: str = "silver", **keys: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.tar = folder / "bdd100k.tar"
        self.time = START
        self.holds(NAMES)
        annotate(folder, SUBSET, pairs(NAMES))
        self.settings: Settings = config(
            folder, silver_path=silver_path, bdd100k_raw=raw or str(self.tar), jobs=1, **keys
        )
        self.notes = Notes()

    def holds(self, names: Iterable[str], version: int = 0) -> None:
        """Makes the source hold exactly these files."""
        self.tar.write_bytes(archive(names, version))

    def install(self, lines: str, name: str = "saco") -> Path:
        """Puts a shell script of these lines into `.venv/bin` of the folder; returns its path."""
        command = self.folder / ".venv" / "bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text(f"#!/bin/sh\n{lines}\n")
        command.chmod(0o755)
        return command

    def prepare(self, *, confirm_gone: bool = False, stages: Stages | None = None) -> Finished:
        """As the command of this name does."""
        return session.go(
            self.settings,
            [SUBSET],
            "prepare",
            self.notes,
            stages=stages,
            confirm_gone=confirm_gone,
            clock=lambda: self.time,
            executor=InlineExecutor(),
        )

    def sync(self, *, full: bool = False, confirm_gone: bool = False) -> Synced:
        """As the command of this name does."""
        return sync(
            self.settings,
            [SUBSET],
            self.notes,
            full=full,
            confirm_gone=confirm_gone,
            clock=lambda: self.time,
            executor=InlineExecutor(),
        )

    def product(self, name: str) -> Path:
        """The path of a product."""
        return self.settings.subset(SUBSET).images / name

    def kept(self) -> set[str]:
        """The files that the pruned annotations name."""
        content = json.loads(self.settings.subset(SUBSET).derived.read_bytes())
        return {each["file_name"] for each in content["images"]}


class RemoteSubset(TinySubset):
    """The same, whose archive is on a server on loopback."""

    def __init__(self, folder: Path, server: FileServer) -> None:
        self.server = server
        self.lose()
        super().__init__(folder, raw=f"{server.url}/bdd100k.tar")

    def lose(self, *names: str, version: int = 0) -> None:
        """Makes the server's archive hold all files but these; another version, another ETag."""
        self.server.files["/bdd100k.tar"] = archive(set(NAMES) - set(names), version)
