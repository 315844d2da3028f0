"""Mutated videos, pictures and masks."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from saco_data.config.settings import FILE_NAME, load
from tests.campaigns.bench import Bench, Command, Kind, gone
from tests.helpers.annotations import annotate
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.mutations import mutate_bytes
from tests.helpers.pictures import encode
from tests.helpers.tiny_subset import NAMES, SUBSET, pairs


class Videos(Kind):
    """A video of the user's among sound ones."""

    name, share = "videos", 350

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.subset = build_one(self.base, "sav")
        self.names = sorted(self.subset.raw)

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        shutil.copytree(self.base / "annotations", folder / "annotations")
        keys = {"sav_path": "data", "silver_path": "silver", "jobs": 1}
        raw = config(folder, **keys).subset("sav").raw_folder
        self.mutated = dice.choice(self.names)
        self.content = mutate_bytes(dice, self.subset.raw[self.mutated])
        for name in self.names:
            path = raw / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.content if name == self.mutated else self.subset.raw[name])
        self.path = raw / self.mutated
        return [("prepare", "sav"), *([("report", "sav")] if dice.random() < 0.2 else [])]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        assert self.path.read_bytes() == self.content
        stem = Path(self.mutated).stem
        assert not {name for name in gone(load(folder / FILE_NAME), "sav") if stem in name}


class Pictures(Kind):
    """A JPEG or PNG of the user's among sound ones."""

    name, share = "pictures", 450

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        noise = Image.effect_noise((160, 120), 60).convert("RGB")
        self.whole = [
            encode(noise, quality=40),
            encode(noise, progressive=True),
            encode(noise.convert("L"), "PNG"),
            encode(noise.convert("P"), "PNG"),
            encode(noise.convert("CMYK")),
        ]

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        document = pairs(NAMES)
        for each in document["images"]:
            each |= {"width": 160, "height": 120}
        annotate(folder, SUBSET, document)
        raw = folder / "raw" / "100k" / "train"
        raw.mkdir(parents=True)
        self.content = mutate_bytes(dice, dice.choice(self.whole))
        for name in NAMES[1:]:
            (raw / name).write_bytes(self.whole[0])
        self.path = raw / NAMES[0]
        self.path.write_bytes(self.content)
        config(folder, bdd100k_raw="raw", silver_path="silver", jobs=1)
        others: list[Command] = [("report", SUBSET), ("preview", SUBSET), ("verify", SUBSET)]
        return [("prepare", SUBSET), *([dice.choice(others)] if dice.random() < 0.3 else [])]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        assert self.path.read_bytes() == self.content
        settings = load(folder / FILE_NAME)
        assert not gone(settings, SUBSET)
        assert len(list(settings.subset(SUBSET).images.glob("*.jpg"))) >= len(NAMES) - 1


class Masks(Kind):
    """A PNG of masks that is evaluated by J&F."""

    name, share = "masks", 200

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        mask = np.zeros((60, 80), np.uint8)
        mask[10:40, 10:40] = 1
        self.png = encode(Image.fromarray(mask), "PNG")

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        for side in ("truth", "predicted"):
            path = folder / side / "a" / "000"
            path.mkdir(parents=True)
            for frame in range(4):
                (path / f"{frame:05d}.png").write_bytes(self.png)
        path = folder / dice.choice(["truth", "predicted"]) / "a" / "000" / "00001.png"
        path.write_bytes(mutate_bytes(dice, self.png))
        return [("eval", "predicted", "--gt", "truth", "--metric", "jf", "--json")]
