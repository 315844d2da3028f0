"""Mutated files of our own: ledger, notes, sidecars, parts of downloads, journals."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from saco_data.config.settings import FILE_NAME, load
from saco_data.sandbox.miniature import build, serve
from tests.campaigns.bench import OFFLINE, Command, Kind, gone
from tests.helpers.mutations import mutate_bytes, mutate_json
from tests.helpers.pipeline import prepare

SUBSETS = ("nga", "inaturalist", "bdd100k", "sav")


class OwnFiles(Kind):
    """A prepared copy of four subsets, in which one of our own files is damaged."""

    name, share = "own files", 450

    @contextlib.contextmanager
    def set_up(self) -> Iterator[None]:
        with serve(self.base / "sources", build(self.base, SUBSETS).subsets) as mounts:
            keys = {**mounts.keys, "path_annotations": "../annotations", "silver_path": "silver"}
            keys |= {f"{name}_path": f"data/{name}" for name in SUBSETS} | {"jobs": 1}
            self.environment = {**OFFLINE, **mounts.environment}
            self.copy = self.base / "copy"
            self.copy.mkdir()
            (self.copy / FILE_NAME).write_text(yaml.safe_dump(keys))
            settings = load(self.copy / FILE_NAME)
            assert prepare(settings, *SUBSETS) == 0
            self.gone = {name: gone(settings, name) for name in SUBSETS}
            archive = f"{mounts.server.url}/cdn/videos_fps_6.tar"
            part = settings.subset("sav").raw_folder / ".videos_fps_6.tar.part"
            part.write_bytes(b"x" * 5000)
            note = {"url": archive, "etag": '"a"', "last_modified": "", "size": 9000}
            part.with_name(part.name + ".json").write_text(
                json.dumps({**note, "spans": [[0, 5000]]})
            )
            self.ours = [
                path.relative_to(self.copy)
                for path in sorted(self.copy.rglob("*"))
                if path.is_file() and path.name != FILE_NAME and path.suffix not in (".jpg", ".mp4")
            ]
            yield

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        shutil.copytree(self.copy, folder, dirs_exist_ok=True)
        self.name_of_file = dice.choice(self.ours)
        path = folder / self.name_of_file
        content = path.read_bytes()
        try:
            json.loads(content)
            content = mutate_json(dice, content)
        except ValueError:
            content = mutate_bytes(dice, content)
        path.write_bytes(content)
        if dice.random() < 0.2:
            journal = folder / "silver" / ".saco" / "ledger.sqlite-journal"
            journal.write_bytes(dice.randbytes(dice.choice([0, 10, 600])))
        reader = dice.choice([("status", "--reasons"), ("report",), ("history", "x"), ("plan",)])
        return [reader, ("prepare", *SUBSETS), ("prepare", *SUBSETS)]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        about = f"{self.name_of_file}: {codes}"
        if self.name_of_file.name != "ledger.sqlite":
            assert codes[-1] == 0, about
            settings = load(folder / FILE_NAME)
            assert all(gone(settings, name) <= self.gone[name] for name in SUBSETS), about
