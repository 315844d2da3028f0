"""Mutated cookies, links files, and tables and answers of sources."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from saco_data.config.settings import FILE_NAME, load
from saco_data.sandbox.fathomnet import FathomNet
from saco_data.sandbox.http_server.server import Answer, Query
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.packing import pack_zip
from tests.campaigns.bench import OFFLINE, Bench, Command, Kind, gone
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.mutations import mutate_json, mutate_lines


class Cookies(Kind):
    """The cookies of a logged-in session."""

    name, share = "cookies", 250

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        build_one(self.base, "yt1b")
        later = int(time.time()) + 10_000_000
        names = ("LOGIN_INFO", "SAPISID", "__Secure-1PAPISID", "__Secure-3PAPISID", "SID")
        rows = [f".youtube.com\tTRUE\t/\tTRUE\t{later}\t{name}\tx{name}" for name in names]
        self.whole = "\n".join(["# Netscape HTTP Cookie File", "", *rows, ""]).encode()

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        shutil.copytree(self.base / "annotations", folder / "annotations")
        (folder / "cookies.txt").write_bytes(mutate_lines(dice, self.whole))
        (folder / "cookies.txt").chmod(0o600)
        config(folder, cookies_path="cookies.txt", silver_path="silver", jobs=1)
        return [dice.choice([("doctor", "yt1b"), ("plan", "yt1b")])]


class Links(Kind):
    """The links file of SA-V, for Silver and for the data set."""

    name, share = "links", 350

    @contextlib.contextmanager
    def set_up(self) -> Iterator[None]:
        with serve(self.base / "sources", build(self.base, ["sav"]).subsets) as mounts:
            self.whole = Path(mounts.keys["sav_links_file"]).read_bytes()
            yield

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        shutil.copytree(self.base / "annotations", folder / "annotations")
        self.content = mutate_lines(dice, self.whole)
        (folder / "links.txt").write_bytes(self.content)
        data_set = {"sa-v": {"links_file": "links.txt"}}
        config(
            folder,
            sav_links_file="links.txt",
            silver_path="silver",
            jobs=1,
            collections=data_set,
        )
        others: list[Command] = [("plan", "sav"), ("plan", "sa-v/val"), ("doctor", "sav")]
        return [("prepare", "sav") if dice.random() < 0.5 else dice.choice(others)]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        assert (folder / "links.txt").read_bytes() == self.content
        # One video is missing from the archive itself.
        assert len({Path(name).parent for name in gone(load(folder / FILE_NAME), "sav")}) <= 1


Keys = dict[str, Any]


def with_endpoint(keys: Keys, name: str, url: str) -> Keys:
    """The keys of a config with another endpoint."""
    return {**keys, "endpoints": {**keys["endpoints"], name: url}}


class OddFathomNet(FathomNet):
    """FathomNet, whose API's answers are changed by `change`."""

    change: Callable[[Answer], Answer] = staticmethod(lambda answer: answer)

    def _api(self, query: Query, what: str) -> Answer:
        return self.change(super()._api(query, what))


class Tables(Kind):
    """What sources publish: a catalogue, a mapping, an index in a zip, answers of an API."""

    name, share = "tables", 500
    subsets = ("nga", "inaturalist", "fathomnet", "geode", "ego4d")

    @contextlib.contextmanager
    def set_up(self) -> Iterator[None]:
        self.miniature = build(self.base, self.subsets)
        with serve(self.base / "sources", self.miniature.subsets) as mounts:
            self.mounts = mounts
            self.environment = {**OFFLINE, **mounts.environment}
            with urllib.request.urlopen(f"{mounts.server.url}/nga/published_images.csv") as answer:
                self.catalogue = answer.read()
            self.bucket = mounts.servers["ego4d"].buckets["ego4d-consortium-sharing"]
            (self.manifest,) = self.bucket.values()
            raw = self.miniature.subsets["fathomnet"].raw
            images = {name.removesuffix(".jpg"): content for name, content in raw.items()}
            self.catalog = OddFathomNet(images)
            self.api = self.catalog.mount(mounts.server, "/odd")
            yield

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        self.subset = dice.choice(self.subsets)
        keys = {**self.mounts.keys, "path_annotations": "../annotations", "silver_path": "silver"}
        keys |= {f"{name}_path": f"data/{name}" for name in self.subsets} | {"jobs": 1}
        keys = getattr(self, f"_{self.subset}")(folder, dice, keys)
        (folder / FILE_NAME).write_text(yaml.safe_dump(keys))
        (folder / FILE_NAME).chmod(0o600)
        return [("prepare", self.subset)]

    def _nga(self, folder: Path, dice: random.Random, keys: Keys) -> Keys:
        path = f"/{folder.name}/published_images.csv"
        self.mounts.server.files[path] = mutate_lines(dice, self.catalogue)
        return with_endpoint(keys, "nga_catalogue", f"{self.mounts.server.url}{path}")

    def _inaturalist(self, folder: Path, dice: random.Random, keys: Keys) -> Keys:
        path = f"/{folder.name}/mapping.json"
        mapping = self.mounts.server.files["/inat/mapping.json"]
        assert isinstance(mapping, bytes)
        self.mounts.server.files[path] = mutate_json(dice, mapping)
        return with_endpoint(keys, "inaturalist_mapping", f"{self.mounts.server.url}{path}")

    def _fathomnet(self, folder: Path, dice: random.Random, keys: Keys) -> Keys:
        def mutate(answer: Answer) -> Answer:
            if not isinstance(answer.body, bytes) or dice.random() < 0.7:
                return answer
            return Answer(mutate_json(dice, answer.body), answer.status, answer.headers)

        self.catalog.change = mutate
        return with_endpoint(keys, "fathomnet_api", self.api)

    def _geode(self, folder: Path, dice: random.Random, keys: Keys) -> Keys:
        raw = self.miniature.subsets["geode"].raw
        rows = "".join(f"{name.removeprefix('images/')},bag\n" for name in raw)
        index = mutate_lines(dice, f"file_path,object\n{rows}".encode())
        (folder / "geode.zip").write_bytes(pack_zip({"index.csv": index, **raw}))
        return {**keys, "geode_raw": "geode.zip"}

    def _ego4d(self, folder: Path, dice: random.Random, keys: Keys) -> Keys:
        (name,) = self.bucket
        self.bucket[name] = mutate_lines(dice, self.manifest)
        return keys

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        """What a table no longer lists may count as gone, what is in the zip itself may not."""
        if self.subset == "geode":
            subset = self.miniature.subsets[self.subset]
            there = {name for name, raw in subset.raw_name.items() if raw in subset.raw}
            assert not gone(load(folder / FILE_NAME), self.subset) & there
