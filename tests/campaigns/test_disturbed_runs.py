"""Runs that are killed, or whose disk fails, at any operation: the next run makes them whole."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from saco_data.config.settings import FILE_NAME, Settings, load
from saco_data.sandbox.demo import SUBSETS
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.mounts import Mounts
from tests.campaigns.bench import gone
from tests.helpers import disturbance
from tests.helpers.disturbance import Disturbance
from tests.helpers.folders import tree
from tests.helpers.fork_server import ForkServer
from tests.helpers.seeds import choose_seed

COMMANDS = ("prepare", "prepare", "prepare", "prepare", "sync", "download", "process", "verify")
TROUBLE = (f"error {errno.EIO}", f"error {errno.ESTALE}")


@dataclass
class World:
    """The sources of all subsets, and the process that starts commands."""

    folder: Path
    mounts: Mounts
    server: ForkServer
    told: Counter[str] = field(default_factory=Counter)
    talk: str = ""  # of the last command

    def run(
        self, settings: Settings, command: str, subset: str, what: Disturbance | None = None
    ) -> int:
        """The exit code of a command, disturbed or not; a hang or a traceback fails."""
        variables = what.environment(self.folder) if what else disturbance.counting(self.folder)
        (self.folder / disturbance.LOG).unlink(missing_ok=True)
        assert settings.file
        ended = self.server.run(
            command,
            subset,
            cwd=settings.file.parent,
            environment={**self.mounts.environment, **variables},
        )
        about = f"{what} {command} {subset}: {ended.code}\n{ended.stderr[-4000:]}"
        assert ended.code is not None, f"hung: {about}"
        assert ended.code != 1 and "Traceback" not in ended.text, about
        self.talk = ended.stderr
        return ended.code


@contextlib.contextmanager
def world(folder: Path, seed: int) -> Iterator[World]:
    """Miniatures of all subsets, served."""
    library = disturbance.compile_library(folder)
    disturbed = folder / "disturbed"
    disturbed.mkdir()
    with (
        serve(disturbed / "sources", build(disturbed, SUBSETS, seed=seed).subsets) as mounts,
        ForkServer(folder, library) as server,
    ):
        yield World(disturbed, mounts, server)


def make_copy(there: World, folder: Path, subset: str, **keys: Any) -> Settings:
    """A folder in which nothing was prepared yet; a file of the user's lies beside raw files."""
    folder.mkdir()
    own = {"path_annotations": str(there.folder / "annotations"), "silver_path": "silver"}
    own[f"{subset}_path"] = "data"
    path = folder / FILE_NAME
    path.write_text(yaml.safe_dump({**there.mounts.keys, **own, **keys, "jobs": 1}))
    path.chmod(0o600)
    settings = load(path)
    raw = settings.subset(subset).raw_folder
    raw.mkdir(parents=True)
    (raw / "notes of the user.txt").write_text("mine")
    return settings


@dataclass
class Undisturbed:
    """How one subset ends where nothing goes wrong."""

    keys: dict[str, Any]
    operations: dict[str, dict[str, int]]  # by command
    files: dict[str, bytes]
    gone: set[str]
    own: dict[str, bytes]  # raw files that the user has from the start, below the folder

    def plant(self, folder: Path) -> None:
        """Puts the user's raw files into a new copy."""
        for name, content in self.own.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def run_undisturbed(there: World, base: Path, subset: str, dice: random.Random) -> Undisturbed:
    """Prepares a subset twice; the second time one of its raw files is the user's own."""
    base.mkdir()
    keys: dict[str, Any] = {}
    if any(path.suffix == ".mp4" for path in _raw_of(there, base / "first", subset, keys)):
        keys[f"remove_downloaded_videos_{subset}"] = dice.random() < 0.5
    raw = sorted(_raw_of(there, base / "second", subset, {}))
    own = {str(path.relative_to(base / "second")): path.read_bytes() for path in raw[:1]}
    calm = Undisturbed(keys, {}, {}, set(), own)
    settings = make_copy(there, base / "calm", subset, **keys)
    calm.plant(base / "calm")
    for command in dict.fromkeys(COMMANDS):
        assert there.run(settings, command, subset) == 0
        calm.operations[command] = disturbance.counts(there.folder)
    calm.files = files_of(base / "calm")
    calm.gone = gone(settings, subset)
    assert len(calm.gone) >= 1
    return calm


def _raw_of(there: World, folder: Path, subset: str, keys: dict[str, Any]) -> list[Path]:
    settings = make_copy(there, folder, subset, **keys)
    assert there.run(settings, "prepare", subset) == 0
    found = settings.subset(subset).raw_folder.rglob("[!.]*")
    return [path for path in found if path.is_file() and path.suffix != ".txt"]


def files_of(folder: Path) -> dict[str, bytes]:
    """All files of a copy, without our notes on sources, which depend on what was asked when."""
    notes = (".archive-index", "records.jsonl", ".published_images.json", ".seek-index.jsonl.gz")
    return {name: content for name, content in tree(folder).items() if not name.endswith(notes)}


def check_one(
    there: World, folder: Path, subset: str, calm: Undisturbed, dice: random.Random
) -> int:
    """One copy: one to three disturbed commands, then `prepare`; returns how many."""
    settings = make_copy(there, folder, subset, **calm.keys)
    calm.plant(folder)
    history: list[tuple[Any, ...]] = []
    for _ in range(dice.choice([1, 2, 2, 3])):
        command = dice.choice(COMMANDS)
        what = disturbance.draw(dice, calm.operations[command])
        start = time.monotonic()
        code = there.run(settings, command, subset, what)
        hit = there.folder / disturbance.LOG
        hits = hit.read_text().splitlines()[:3] if hit.exists() else []
        history.append((command, what, code, hits))
        if os.environ.get("SACO_KEEP"):
            if code == 2:
                history[-1] += (there.talk[-600:],)
            print(subset, f"{time.monotonic() - start:.1f} s", history[-1], flush=True)
        there.told[f"exit {code}"] += 1
        there.told["reached" if hits else "not reached"] += 1
        assert gone(settings, subset) <= calm.gone, history
        # A disk in trouble is no mistake in the config.
        assert code != 2 or what.what not in TROUBLE, history
    code = there.run(settings, "prepare", subset)
    assert code == 0, (history, there.talk)
    found = files_of(folder)
    different = {name for name in found if found[name] != calm.files.get(name)}
    if any(each[1].family == "unlink" for each in history):
        # A video that the disk refuses to remove stays.
        different -= {name for name in different - calm.files.keys() if name.endswith(".mp4")}
    missing = calm.files.keys() - found.keys()
    if different or missing:
        raise AssertionError(repr((different, missing, calm.keys, history)))
    left = [p for p in settings.state.rglob("*") if p.name.endswith(".saco-tmp")]
    assert left == [], history
    return len(history)


def check_many(folder: Path, number: int, seed: int, subsets: tuple[str, ...] = SUBSETS) -> None:
    """So many disturbances, evenly over subsets; after all of them the sources are unchanged."""
    print(f"\n{number} disturbances over {len(subsets)} subsets, SACO_SEED={seed}")
    dice = random.Random(seed)
    failures: list[str] = []
    with world(folder, seed % 1000) as there:
        folder = there.folder
        before = tree(folder / "sources")
        each = -(-number // len(subsets))
        for subset in subsets:
            calm = run_undisturbed(there, folder / subset, subset, dice)
            done = 0
            while done < each:
                copy = folder / f"copy {dice.getrandbits(40):x}"
                try:
                    done += check_one(there, copy, subset, calm, dice)
                except AssertionError as error:
                    failures.append(f"{subset}: {error}"[:6000])
                    done += 1
                    print("FAILED", failures[-1], flush=True)
                if not os.environ.get("SACO_KEEP"):
                    shutil.rmtree(copy, ignore_errors=True)
            print(f"{subset}: {done}, so far {dict(there.told)}", flush=True)
        assert tree(folder / "sources") == before
    assert not failures, f"{len(failures)} failed, seed {seed}"


def test_some_disturbances(tmp_path: Path) -> None:
    check_many(tmp_path, 4, 1, ("geode", "sav"))


@pytest.mark.long
def test_five_hundred_disturbances(tmp_path: Path) -> None:
    check_many(tmp_path, 500, choose_seed())
