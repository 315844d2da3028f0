"""Mutated cookies, links files, and tables and answers of sources."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from saco_data.config.settings import FILE_NAME, load
from saco_data.sandbox.http_server.server import Answer
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

    def set_up(self) -> contextlib.AbstractContextManager[object]:
        return self._serving()

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
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


class Tables(Kind):
    """What sources publish: a catalogue, a mapping, an index in a zip, answers of an API."""

    name, share = "tables", 500
    subsets = ("nga", "inaturalist", "fathomnet", "geode", "ego4d")

    def set_up(self) -> contextlib.AbstractContextManager[object]:
        return self._serving()

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        self.miniature = build(self.base, self.subsets)
        with serve(self.base / "sources", self.miniature.subsets) as mounts:
            self.mounts = mounts
            self.environment = {**OFFLINE, **mounts.environment}
            yield

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        self.subset = dice.choice(self.subsets)
        keys = {**self.mounts.keys, "path_annotations": "../annotations", "silver_path": "silver"}
        keys |= {f"{name}_path": f"data/{name}" for name in self.subsets} | {"jobs": 1}
        keys = getattr(self, f"_{self.subset}")(folder, dice, keys) or keys
        (folder / FILE_NAME).write_text(yaml.safe_dump(keys))
        (folder / FILE_NAME).chmod(0o600)
        return [("prepare", self.subset)]

    def _nga(self, folder: Path, dice: random.Random, keys: dict[str, object]) -> None:
        path = "/nga/published_images.csv"
        server = self.mounts.server
        if not hasattr(self, "catalogue"):
            import urllib.request

            with urllib.request.urlopen(f"{server.url}{path}") as answer:
                self.catalogue = answer.read()
        content = mutate_lines(dice, self.catalogue)
        server.route(path, lambda query: Answer(content))

    def _inaturalist(self, folder: Path, dice: random.Random, keys: dict[str, object]) -> None:
        files = self.mounts.server.files
        self.mapping = getattr(self, "mapping", None) or files["/inat/mapping.json"]
        files["/inat/mapping.json"] = mutate_json(dice, self.mapping)

    def _fathomnet(
        self, folder: Path, dice: random.Random, keys: dict[str, object]
    ) -> dict[str, object]:
        # A page, nonsense, or too much, instead of the API's JSON.
        answer = mutate_json(dice, b'[{"uuid": "a", "url": "http://127.0.0.1:9/a"}]')
        self.mounts.server.route("/odd/", lambda query: Answer(answer))
        ends = {**keys["endpoints"], "fathomnet_api": f"{self.mounts.server.url}/odd"}  # type: ignore[dict-item]
        return {**keys, "endpoints": ends}

    def _geode(
        self, folder: Path, dice: random.Random, keys: dict[str, object]
    ) -> dict[str, object]:
        raw = self.miniature.subsets["geode"].raw
        rows = "".join(f"{name.removeprefix('images/')},bag\n" for name in raw)
        index = mutate_lines(dice, f"file_path,object\n{rows}".encode())
        (folder / "geode.zip").write_bytes(pack_zip({"index.csv": index, **raw}))
        return {**keys, "geode_raw": "geode.zip"}

    def _ego4d(self, folder: Path, dice: random.Random, keys: dict[str, object]) -> None:
        server = self.mounts.servers["ego4d"]
        bucket = server.buckets["ego4d-consortium-sharing"]
        (name,) = bucket
        self.manifest = getattr(self, "manifest", None) or bucket[name]
        bucket[name] = mutate_lines(dice, self.manifest)

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        """What a table no longer lists may count as gone; what it lists may not."""
        if self.subset in ("fathomnet", "geode"):
            subset = self.miniature.subsets[self.subset]
            there = {name for name, raw in subset.raw_name.items() if raw in subset.raw}
            assert not gone(load(folder / FILE_NAME), self.subset) & there
