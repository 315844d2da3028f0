"""Mutated annotations, configs and manifests."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from saco_data.config.settings import FILE_NAME, load
from saco_data.sandbox.packing import pack_zip
from tests.campaigns.bench import Bench, Command, Kind, gone
from tests.helpers.annotations import document, image
from tests.helpers.folders import config, write_files
from tests.helpers.miniatures import build_one
from tests.helpers.mutations import change_values, mutate_json, mutate_lines
from tests.helpers.pictures import plain_jpeg


class Annotations(Kind):
    """An annotation file of pictures in a zip; masks as RLE."""

    name, share = "annotations", 900
    readers: Sequence[Command] = (
        ("status", "--json", "geode"),
        ("report", "geode"),
        ("card", "geode"),
        ("preview", "geode"),
        ("plan", "geode"),
        ("verify", "geode"),
        ("history", "x.jpg"),
    )

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        subset = build_one(self.base, "geode")
        (self.base / "g.zip").write_bytes(pack_zip(subset.raw))
        (self.whole,) = (self.base / "annotations").iterdir()
        self.there = {name for name, raw in subset.raw_name.items() if raw in subset.raw}

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        path = folder / "annotations" / self.whole.name
        path.parent.mkdir()
        path.write_bytes(mutate_json(dice, self.whole.read_bytes()))
        config(folder, geode_raw="../g.zip", silver_path="silver", jobs=1)
        self.content = path.read_bytes()
        return [("prepare", "geode"), dice.choice(self.readers)]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        assert (folder / "annotations" / self.whole.name).read_bytes() == self.content
        assert not gone(load(folder / FILE_NAME), "geode") & self.there


class Configs(Kind):
    """The config. The commands read only: a mutated path could lead anywhere."""

    name, share = "configs", 500
    keys: ClassVar[dict[str, Any]] = {
        "path_annotations": "annotations",
        "silver_path": "silver",
        "bdd100k_raw": "raw.zip",
        "sav_links_file": "links.txt",
        "cookies_path": "cookies.txt",
        "jobs": 2,
        "gone_confirm_hours": 24.5,
        "num_images_show": 3,
        "remove_downloaded_videos_sav": True,
        "endpoints": {"nga_iiif": "http://127.0.0.1:9/iiif"},
        "limits": {"nga": {"concurrency": 2, "sleep_seconds": [0, 1]}},
        "transport": {"ego4d": "boto3"},
        "collections": {"sa-v": {"links_file": "l.txt", "annotations": "manual"}},
    }

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        path = folder / FILE_NAME
        if dice.random() < 0.5:
            text = yaml.safe_dump(change_values(dice, self.keys)).encode("utf-8", "replace")
        else:
            text = mutate_lines(dice, yaml.safe_dump(self.keys).encode())
        path.write_bytes(text)
        path.chmod(0o600)
        readers = [("plan", "bdd100k"), ("status", "--json"), ("history", "x"), ("plan", "nga")]
        return [dice.choice(readers), ("status", "sa-v/val")]


class Manifests(Kind):
    """A collection of the user's: its list, the manifest of its subset."""

    name, share = "manifests", 250

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        from tests.engine.test_new_subset import COLLECTION, MANIFEST

        pairs = [image(n, f"2026-{name}.jpg", width=16, height=12) for n, name in enumerate("abc")]
        members = {f"pictures/2026/{name}.jpg": plain_jpeg() for name in "ab"}
        masks = [{"id": 1, "image_id": pairs[0]["id"]}]
        self.whole = {
            "manifests/collection.yaml": yaml.safe_dump(COLLECTION).encode(),
            "manifests/birds.yaml": yaml.safe_dump(MANIFEST).encode(),
            "annotations/mine/birds.json": json.dumps(document(*pairs, masks=masks)).encode(),
            "birds.zip": pack_zip(members),
        }

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        write_files(folder, self.whole)
        name = dice.choice(list(self.whole)[:2])
        whole = self.whole[name]
        if dice.random() < 0.7:
            changed = change_values(dice, yaml.safe_load(whole))
            whole = yaml.safe_dump(changed).encode("utf-8", "replace")
        else:
            whole = mutate_lines(dice, whole)
        (folder / name).write_bytes(whole)
        mine = {"manifests": "manifests", "path": "out", "raw": {"birds": "birds.zip"}}
        path = folder / FILE_NAME
        keys = {"path_annotations": "annotations", "silver_path": "silver", "jobs": 1}
        path.write_text(yaml.safe_dump({**keys, "collections": {"mine": mine}}))
        return [("prepare", "mine/birds"), ("plan", "mine")]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        assert (folder / "birds.zip").read_bytes() == self.whole["birds.zip"]
        shutil.rmtree(folder / "out", ignore_errors=True)
