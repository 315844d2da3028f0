"""Runs on a cluster under random faults, each compared with a quiet run on one machine."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

import saco_data
from saco_data.config.settings import Settings
from saco_data.model.reasons import State
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.s3 import S3Server
from saco_data.storage.store import open_store
from tests.helpers.bucket import BUCKET, Door
from tests.helpers.folders import config
from tests.helpers.pipeline import items, prepare, products
from tests.helpers.seeds import choose_seed

TRAIN, SA1B = "sa-v/train", "sa1b/train"
SUBSETS = ("droid", TRAIN, SA1B)
# Complete; a bucket that does not answer; killed.
ENDS = (0, 3, -signal.SIGKILL)
MOST_IN_A_ROUND = 24


class Field:
    """A copy on a cluster of this machine, its sources, its bucket, and the run at work on it."""

    settings: Settings

    def __init__(
        self, folder: Path, mounts: Mounts, door: Door, executor: Any, archives: int
    ) -> None:
        self.folder = folder
        self.executor = executor
        self.archives = archives
        self.mounts = mounts
        self.door = door
        self.round = 0
        self.run: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Empty folders and an empty place in the bucket."""
        if self.round:
            shutil.rmtree(self.settings.root)
        self.round += 1
        name = f"round{self.round}"
        self.settings = configured(
            self.folder, self.mounts, name, self.archives, executor=self.executor
        )

    def start(self) -> None:
        """Starts `saco prepare` in a process of its own."""
        assert self.settings.file
        command = [sys.executable, "-m", "saco_data", "-q", "--config", str(self.settings.file)]
        with (self.folder / "log").open("ab") as log:
            self.run = subprocess.Popen(
                [*command, "prepare", *SUBSETS],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float | None) -> int | None:
        """The exit code of the run; None if it is still at work after so many seconds."""
        assert self.run
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.run.wait(seconds)
        return None

    def nannies(self) -> list[psutil.Process]:
        """The processes `dask worker`, also those that a killed coordinator left."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if "distributed.cli.dask_worker" in line and str(self.folder) in line:
                    found.append(process)
        return found

    def kill_worker(self) -> bool:
        return sum(kill(each) for nanny in self.nannies() for each in children(nanny)) > 0

    def kill_nanny(self) -> bool:
        return sum(kill(nanny) for nanny in self.nannies()) > 0

    def kill_coordinator(self) -> bool:
        assert self.run
        return kill(psutil.Process(self.run.pid))

    def stop_bucket(self) -> bool:
        self.door.close()
        time.sleep(0.5)
        self.door.open()
        return True

    def clean(self) -> None:
        """Ends all that was started."""
        if self.run and self.run.poll() is None:
            self.run.kill()
        for nanny in self.nannies():
            for each in (*children(nanny), nanny):
                kill(each)


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [each for each in process.children() if "spawn_main" in " ".join(each.cmdline())]
    except psutil.Error:
        return []


def kill(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.Error:
        return False
    return True


def configured(folder: Path, mounts: Mounts, name: str, archives: int, **keys: Any) -> Settings:
    """The config of a copy whose Silver goes to a place of its own in the bucket."""
    given = yaml.safe_load(yaml.safe_dump(mounts.keys))
    given["collections"]["sa-v"] |= {
        "path": "sa-v",
        "media": "both",
        "shards": [*range(archives)],
    }
    given["collections"]["sa1b"] |= {"path": "sa1b", "shards": [*range(archives)]}
    # Its own: the listing of archives lies there too.
    shutil.copytree(folder / "annotations", folder / name / "annotations")
    own = {f"{subset}_path": f"raw/{subset}" for subset in SUBSETS if "/" not in subset}
    return config(
        folder / name,
        **{**given, **own, **keys},
        silver_path=f"s3://{BUCKET}/{name}",
        state_path="state",
    )


def result_of(settings: Settings) -> dict[str, Any]:
    """All that a run leaves for its user; and that nothing else lies in its folders."""
    own = settings.subset(TRAIN)
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    assert not [path for path in settings.silver.glob("images/**/*") if path.is_file()]
    store = open_store(settings.bucket)
    objects = {
        name: store.read(name) for name, _ in store.list("") if not name.startswith(".saco/")
    }
    known: dict[str, Mapping[str, Any]] = {
        subset: {
            key: (item.reason, item.sha256, item.bytes)
            for key, item in items(settings, subset).items()
        }
        for subset in SUBSETS
    }
    return {
        "bucket": objects,
        "folder": products(settings, TRAIN) | products(settings, SA1B),
        "listing": own.pristine.read_bytes(),
        "ledger": known,
        "status": saco_data.status(settings).as_json()["subsets"],
    }


def survive(
    field: Field, faults: int, kinds: Mapping[str, Callable[[], bool]], seconds: float = 0.0
) -> Counter[str]:
    """Disturbs runs until there were so many faults, in rounds that each end in a whole copy.

    `kinds`: what injects a fault, by its name; it returns whether there was something to disturb.
    `seconds`: at most, between two faults, where half the time of a quiet run is less. Returns how
    many there were of each kind.
    """
    seed = choose_seed()
    print(f"\n{faults} faults, SACO_SEED={seed}")
    dice = random.Random(seed)
    quiet, begun = configured(field.folder, field.mounts, "quiet", field.archives), time.monotonic()
    assert prepare(quiet, *SUBSETS) == 0
    right, span = result_of(quiet), time.monotonic() - begun
    seen: Counter[str] = Counter()
    while seen.total() < faults:
        field.begin()
        left = min(dice.randint(1, MOST_IN_A_ROUND), faults - seen.total())
        field.start()
        while True:
            code = field.wait(dice.uniform(0, max(span / 2, seconds)) if left else 600)
            if code is None:
                assert left, f"seed {seed}: the run does not end"
                kind = dice.choice(sorted(kinds))
                if kinds[kind]():
                    seen[kind] += 1
                    left -= 1
                continue
            log = (field.folder / "log").read_text()[-3000:]
            assert code in ENDS, f"seed {seed}: exit code {code}\n{log}"
            if code == 0:
                break
            field.start()
        assert result_of(field.settings) == right, f"seed {seed}, round {field.round}"
        for subset in SUBSETS:
            for key, item in items(field.settings, subset).items():
                is_sound = item.state in (State.DONE, State.GONE)
                assert is_sound and item.attempts <= 1, f"seed {seed}: {key} {item}"
        asked = field.mounts.server.requests.total()
        field.start()
        assert field.wait(600) == 0
        assert field.mounts.server.requests.total() == asked, f"seed {seed}"
        print(f"{dict(seen)} in {field.round} rounds, all equal", flush=True)
    return seen


@contextlib.contextmanager
def own_field(folder: Path, bucket: S3Server, executor: Any, archives: int = 3) -> Iterator[Field]:
    """A field with so many archives of SA-V and of SA-1B, in an empty folder.

    The environment leads to its bucket while it lasts.
    """
    made = build(folder, SUBSETS).subsets
    with serve(folder / "served", made) as mounts, Door(bucket) as door:
        field = Field(folder, mounts, door, executor, archives)
        before = os.environ["AWS_ENDPOINT_URL"]
        os.environ["AWS_ENDPOINT_URL"] = door.url
        try:
            yield field
        finally:
            os.environ["AWS_ENDPOINT_URL"] = before
            field.clean()
