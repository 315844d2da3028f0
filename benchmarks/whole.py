"""The whole miniature Silver, against a plain reimplementation of the official scripts.

    python benchmarks/whole.py [--rounds 3]

The official way is `plain_scripts.py`, written for this benchmark after what the official scripts
do: fourteen processes one after another. Ours is one `saco prepare`. Both fetch from the same
servers on loopback, in turn, into empty folders, and must end with pictures of the same names. A
last `saco prepare`, which has nothing to do, shows what a finished subset costs. Processor time is
that of all processes, also of those whose parent ended before them (Linux). Beside them stands the
limit of any Python tool: to start Python and load NumPy, PyAV and aiohttp, once.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plain_scripts
import yaml

from saco_data.catalog.registry import builtin
from saco_data.config.settings import FILE_NAME, load
from saco_data.sandbox.gcs import HOST
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.miniature import Miniature, build
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipes import recipe_of
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY

SUBSETS = (*plain_scripts.VIDEOS, *plain_scripts.UNPACKED, "nga", "inaturalist", "fathomnet")
WANTED = {"seconds": 6.0, "cpu": 8.0}
FINISHED = 0.8  # processor seconds
LEAST = "import numpy, av, aiohttp"
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: orphans become children of this process


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of processor, of a process and all that it started."""

    seconds: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu)


def main() -> None:
    """Runs both ways in turn and prints medians, ratios and limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    costs: dict[str, list[Cost]] = {"official": [], "ours": [], "finished": [], "least": []}
    loads = []
    with tempfile.TemporaryDirectory() as name, FileServer() as server:
        folder = Path(name)
        miniature = build(folder / "miniature", SUBSETS)
        with Mounts(miniature.root, server) as mounts:
            for subset, drawn in miniature.subsets.items():
                recipe_of(subset).mount(drawn, mounts)
            variables = lead_to(mounts, folder)
            for turn in range(rounds):
                loads.append(os.getloadavg()[0])
                for way in ("official", "ours") if turn % 2 else ("ours", "official"):
                    act = official if way == "official" else ours
                    for what, cost in act(folder / way, miniature, mounts, variables).items():
                        costs[what].append(cost)
                costs["least"].append(run([sys.executable, "-c", LEAST], folder, variables))
                compare_names(folder, miniature)
                shutil.rmtree(folder / "official")
                shutil.rmtree(folder / "ours")
    show(costs, loads)


def lead_to(mounts: Mounts, folder: Path) -> dict[str, str]:
    """Variables by which both ways find the servers, the official clients included."""
    mounts.servers["proxy"].handlers[HOST] = mounts.servers["droid"].handler
    keys = folder / "credentials"
    keys.write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    tools = str(Path(sys.executable).parent)
    return {
        **os.environ,
        **mounts.environment,
        "AWS_SHARED_CREDENTIALS_FILE": str(keys),
        "FATHOMNET_API_URL": mounts.keys["endpoints"]["fathomnet_api"],
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def places_of(folder: Path, miniature: Miniature, mounts: Mounts) -> dict[str, Any]:
    """What the plain scripts are told: folders, annotation files, and where raw media are."""
    ends = mounts.keys["endpoints"]
    root = "gs://gresearch/robotics/droid_raw/1.0.1"
    objects = miniature.subsets["droid"].raw_name.items()
    return {
        "annotations": str(miniature.annotations),
        "out": str(folder),
        "files": {name: builtin().find(name).annotations.file for name in SUBSETS},
        "droid_objects": {video: f"{root}/{name}" for video, name in objects},
        "ego4d_manifest": mounts.write("ego4d.csv", clip_manifest(miniature).encode()),
        "sav_url": f"{mounts.server.url}/cdn/videos_fps_6.tar",
        **{key: mounts.keys[key] for key in ("geode_raw", "bdd100k_raw", "food_rec_raw")},
        **{
            key: ends[key]
            for key in ("nga_catalogue", "nga_iiif", "inaturalist_archive", "inaturalist_mapping")
        },
    }


def clip_manifest(miniature: Miniature) -> str:
    """The manifest of the clips with the columns that the official client asks for."""
    root = "s3://ego4d-university/public/v1/clips"
    names = miniature.subsets["ego4d"].raw_name
    rows = [f"{name.removesuffix('.mp4')},{root}/{name}" for name in names]
    return "\n".join(["file_uid,canonical_s3_location", *rows, ""])


def official(
    folder: Path, miniature: Miniature, mounts: Mounts, variables: Mapping[str, str]
) -> dict[str, Cost]:
    """The cost of all steps of the plain scripts."""
    folder.mkdir()
    told = folder / "places.json"
    told.write_text(json.dumps(places_of(folder, miniature, mounts)))
    total = Cost(0, 0)
    for step in plain_scripts.STEPS:
        total += run([sys.executable, plain_scripts.__file__, step, str(told)], folder, variables)
    return {"official": total}


def ours(
    folder: Path, miniature: Miniature, mounts: Mounts, variables: Mapping[str, str]
) -> dict[str, Cost]:
    """The cost of `saco prepare`, and of another one that has nothing to do."""
    folder.mkdir()
    keys = {
        "path_annotations": str(miniature.annotations),
        "silver_path": "silver",
        **{f"{name}_path": name for name in SUBSETS},
        **mounts.keys,
    }
    (folder / FILE_NAME).write_text(yaml.safe_dump(keys))
    command = [sys.executable, "-m", "saco_data", "prepare"]
    return {name: run(command, folder, variables) for name in ("ours", "finished")}


def run(command: list[str], folder: Path, variables: Mapping[str, str]) -> Cost:
    """The cost of a command and of all that it starts. Raises RuntimeError where it fails."""
    said = folder / "output.txt"
    with said.open("w+b") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{said.read_text(errors='replace')[-3000:]}")
    return Cost(seconds, used.ru_utime + used.ru_stime + cpu_of_orphans())


def cpu_of_orphans() -> float:
    """Processor seconds of the processes that a command left, such as a fork server; waits."""
    total = 0.0
    with contextlib.suppress(ChildProcessError):
        while True:
            _, _, used = os.wait4(-1, 0)
            total += used.ru_utime + used.ru_stime
    return total


def compare_names(folder: Path, miniature: Miniature) -> None:
    """Raises RuntimeError where the two ways did not end with pictures of the same names."""
    settings = load(folder / "ours" / FILE_NAME)
    for name in miniature.subsets:
        inner = "frames" if name in plain_scripts.VIDEOS else "images"
        theirs = set(plain_scripts.names_of(folder / "official" / name / inner))
        mine = set(plain_scripts.names_of(settings.subset(name).images))
        if mine != theirs or not mine:
            raise RuntimeError(f"{name}: {sorted(mine ^ theirs)[:5]} of {len(mine)} differ")


def show(costs: Mapping[str, list[Cost]], loads: list[float]) -> None:
    """Prints medians, ratios to the official way, and what is asked for."""
    middle = {
        name: Cost(
            statistics.median(each.seconds for each in rounds),
            statistics.median(each.cpu for each in rounds),
        )
        for name, rounds in costs.items()
    }
    titles = {
        "official": "plain official scripts",
        "ours": "saco prepare",
        "finished": "saco prepare, nothing to do",
        "least": f"python -c '{LEAST}'",
    }
    for name, title in titles.items():
        each = middle[name]
        print(f"{title:45} {each.seconds:7.2f} s  processor {each.cpu:6.2f} s")
    for what, least in WANTED.items():
        ratio = getattr(middle["official"], what) / getattr(middle["ours"], what)
        verdict = "ok" if ratio >= least else "NOT ok"
        print(f"  {verdict}: {ratio:.1f} times less {what} (at least {least:.0f})")
    finished = middle["finished"].cpu
    verdict = "ok" if finished < FINISHED else "NOT ok"
    print(f"  {verdict}: a finished Silver takes {finished:.2f} s of processor (below {FINISHED})")
    over = middle["ours"].cpu / middle["least"].cpu
    print(f"  ours takes {over:.1f} times the processor time of loading the libraries once")
    print(f"  load {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
