"""Shards killed again and again while links expire: the result is that of a quiet run."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.engine import session
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipes import sa1b
from saco_data.transports.archive import raw as archive_raw
from saco_data.transports.archive.stream import Plain
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, products
from tests.helpers.seeds import choose_seed
from tests.helpers.stopping import die_at

TRAIN, SA1B = "sa-v/train", "sa1b/train"
# A run is killed at one of so many first changes to the file system: early, or near its end.
LATEST = (40, 400)


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mounts]:
    """Links CDNs; requests and checkpoints come in steps that fit the miniature."""
    for name, size in (("FIRST_WINDOW", 16), ("LAST_WINDOW", 16), ("LEAST_SKIP", 1)):
        monkeypatch.setattr(archive_raw, name, size << 10)
    monkeypatch.setattr(archive_raw, "MOST_SKIP", 1 << 10)
    monkeypatch.setattr(Plain, "SAVE_EVERY", 8 << 10)
    subsets = {name: build_subset(name) for name in (TRAIN, SA1B)}
    with serve(tmp_path / "served", subsets) as served:
        yield served


def renew_links(mounts: Mounts, subset: str) -> None:
    """Writes a new links file."""
    cdn: LinksCdn = mounts.servers[subset.partition("/")[0]]
    if subset == TRAIN:
        mounts.write("sa-v_links.txt", cdn.renew())
    else:
        mounts.write(sa1b.LINKS, sa1b.renew(cdn))


def configured(mounts: Mounts, name: str, subset: str, media: str) -> Settings:
    collection = subset.partition("/")[0]
    own = {**mounts.keys["collections"][collection], "path": collection, "media": media}
    folder = mounts.folder.parent / name
    folder.mkdir()
    return config(folder, jobs=1, collections={collection: own})


def result_of(settings: Settings, subset: str) -> dict[str, Any]:
    """All that a run leaves for its user: products, listing, states; and that nothing else lies."""
    own = settings.subset(subset)
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    known = {name: (item.reason, item.sha256) for name, item in items(settings, subset).items()}
    return {**products(settings, subset), "listing": own.pristine.read_bytes(), "ledger": known}


def go(settings: Settings, subset: str, point: int | None) -> int:
    """A run in its own process, killed at a change to the file system; its exit code, or -1."""
    child = os.fork()
    if child == 0:
        if point is not None:
            die_at(point)
        code = 1
        with contextlib.suppress(BaseException):
            code = session.go(settings, [subset], "test", Notes(), executor=InlineExecutor()).code
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return -1 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def survive(mounts: Mounts, subset: str, media: str, kills: int) -> None:
    """Kills runs, each followed by the next one, until so many were killed."""
    seed = choose_seed()
    print(f"\n{kills} kills, {subset} {media}, SACO_SEED={seed}")
    chance = random.Random(seed)
    cdn: LinksCdn = mounts.servers[subset.partition("/")[0]]
    quiet = configured(mounts, f"quiet_{media}", subset, media)
    assert go(quiet, subset, None) == 0
    right = result_of(quiet, subset)
    killed = expired = finished = 0
    settings = configured(mounts, f"killed_{media}", subset, media)
    while killed < kills:
        point: int | None = chance.randrange(chance.choice(LATEST))
        if chance.random() < 0.25:
            cdn.expire_after = chance.randrange(40)
            point = point if chance.random() < 0.5 else None
        code = go(settings, subset, point)
        assert code in (-1, 0, 4), f"seed {seed}: exit code {code}"
        killed += code == -1
        expired += code == 4
        if cdn.expire_after is not None:
            renew_links(mounts, subset)
        if code == 0:
            finished += 1
            assert result_of(settings, subset) == right, f"seed {seed}"
            for path in settings.root.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
    while (code := go(settings, subset, None)) != 0:
        assert code == 4
        renew_links(mounts, subset)
    assert result_of(settings, subset) == right, f"seed {seed}"
    print(
        f"{killed} killed, {expired} stopped by expired links, {finished + 1} finished, all equal"
    )


@pytest.mark.parametrize(("subset", "media"), [(TRAIN, "both"), (SA1B, "videos")])
def test_a_few_kills(mounts: Mounts, subset: str, media: str) -> None:
    survive(mounts, subset, media, 3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("subset", "media"), [(TRAIN, "both"), (TRAIN, "frames"), (SA1B, "videos")]
)
def test_a_hundred_kills(mounts: Mounts, subset: str, media: str) -> None:
    survive(mounts, subset, media, 100)
