"""All stages for the four video subsets: losses, throttles, expiry, bounded disk, secrets."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from saco_data.config.settings import Settings, load
from saco_data.engine import session
from saco_data.executors.local import LocalExecutor
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.demo import set_variables
from saco_data.sandbox.http_server import Fault, Faults
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY
from saco_data.sandbox.youtube import Fault as YoutubeFault
from tests.conftest import Saco
from tests.helpers.folders import tree
from tests.helpers.names import VIDEO_SUBSETS
from tests.helpers.pipeline import Notes, items, prepare, states

COOKIE = "SECRETcookieVALUEsecret"


@contextlib.contextmanager
def videos(
    folder: Path,
    *,
    lose: int = 1,
    only: tuple[str, ...] = VIDEO_SUBSETS,
    **keys: object,
) -> Iterator[tuple[Mounts, Settings, dict[str, MiniatureSubset]]]:
    """The four video subsets served, `lose` videos of each missing, and the config for them."""
    folder.mkdir(exist_ok=True)
    subsets = build(folder, only).subsets
    for subset in subsets.values():
        for name in list(subset.raw)[: lose - 1]:
            subset.missing.append(name)
            del subset.raw[name]
    with serve(folder / "raw", subsets) as mounts:
        (folder / "CONFIG_FRAMES.yaml").write_text(
            yaml.safe_dump({"path_annotations": "annotations", "jobs": 2, **mounts.keys, **keys})
        )
        with set_variables(mounts.environment):
            yield mounts, load(folder / "CONFIG_FRAMES.yaml"), subsets


def is_unpruned(settings: Settings, subset: str) -> bool:
    """Whether the derived annotations have every entry."""
    return (
        settings.subset(subset).derived.read_bytes()
        == settings.subset(subset).pristine.read_bytes()
    )


def test_two_missing_of_each_kind_and_one_source_throttled(tmp_path: Path) -> None:
    with videos(tmp_path, lose=2) as (mounts, settings, subsets):
        mounts.servers["yt1b"].everything = YoutubeFault.RATE_LIMITED
        assert prepare(settings, *VIDEO_SUBSETS) == 4
        for name in ("droid", "sav", "ego4d"):
            found = items(settings, name)
            assert {item.state for item in found.values()} == {State.DONE, State.GONE}
            gone = [item for item in found.values() if item.state is State.GONE]
            assert len(gone) == 6 and len(subsets[name].missing) == 2
            assert len({item.reason for item in gone}) == 1
            assert not is_unpruned(settings, name)
        assert is_unpruned(settings, "yt1b")
        throttled = items(settings, "yt1b").values()
        assert {item.reason for item in throttled} == {Reason.THROTTLED}
        assert sum(item.attempts for item in throttled) == 0, "no video pays for it"
        mounts.servers["yt1b"].everything = None
        asked = mounts.servers["droid"].requests.total()
        assert prepare(settings, *VIDEO_SUBSETS) == 0
        assert mounts.servers["droid"].requests.total() == asked
        counts = list(states(settings, "yt1b").values())
        assert (counts.count(State.DONE), counts.count(State.GONE)) == (6, 6)


def test_an_expired_link_expired_keys_and_a_bot_check_prune_nothing(tmp_path: Path) -> None:
    with videos(tmp_path) as (mounts, settings, _):
        mounts.server.faults = Faults(kinds=(Fault.EXPIRED,), probability=1)
        mounts.servers["ego4d"].gate.all = "ExpiredToken"
        mounts.servers["yt1b"].everything = YoutubeFault.BOT_CHECK
        notes = Notes()
        for name in ("sav", "ego4d", "yt1b"):
            assert prepare(settings, name, notes=notes) == 4, name
            assert is_unpruned(settings, name)
            assert set(states(settings, name).values()) == {State.BLOCKED}
        told = "\n".join(notes.lines)
        assert "links file" in told and "14 days" in told and "cookies" in told
        mounts.server.faults = None
        mounts.servers["ego4d"].gate.all = ""
        mounts.servers["yt1b"].everything = None
        assert prepare(settings, "sav", "ego4d", "yt1b") == 0


class FailingExecutor(LocalExecutor):
    """Workers that hang or crash on their first videos, as hostile videos can make a decoder do."""

    harm: tuple[tuple[Callable[..., Any], int, float], ...] = (
        (time.sleep, 600, 1.0),  # hangs
        (signal.raise_signal, signal.SIGSEGV, 60.0),  # crashes
    )

    def __init__(self) -> None:
        super().__init__(2)
        self.met: dict[str, int] = {}

    def submit(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Future[Any]:
        """See `Executor.submit`."""
        kind = self.met.setdefault(arguments[0].arrival.asset.key, len(self.met))
        if kind >= len(self.harm):
            return super().submit(function, *arguments, seconds=seconds)
        harmful, argument, limit = self.harm[kind]
        return super().submit(harmful, argument, seconds=limit)


def test_a_video_that_hangs_or_crashes_the_decoder_does_not_affect_others(tmp_path: Path) -> None:
    with videos(tmp_path, only=("sav",)) as (_, settings, subsets):
        executor = FailingExecutor()
        code = session.go(settings, ["sav"], "test", Notes(), executor=executor).code
        assert code == 3
        reasons: dict[str, set[Reason]] = {}
        for name, item in items(settings, "sav").items():
            reasons.setdefault(name.split("/")[0], set()).add(item.reason)
        lost = subsets["sav"].missing
        assert len(executor.met) == len(reasons) - len(lost)
        harmed = [{Reason.WORKER_TIMEOUT}, {Reason.WORKER_CRASHED}, {Reason.OK}]
        assert [reasons.pop(Path(key).stem) for key in executor.met] == harmed
        assert set(map(frozenset, reasons.values())) == {frozenset({Reason.NOT_IN_ARCHIVE})}
        # They are tried again, and their entries were not pruned.
        assert prepare(settings, "sav") == 0
        assert {item.reason for item in items(settings, "sav").values()} == {
            Reason.OK,
            Reason.NOT_IN_ARCHIVE,
        }


@pytest.mark.parametrize("name", VIDEO_SUBSETS)
def test_with_removal_only_a_few_videos_are_ever_on_the_disk(tmp_path: Path, name: str) -> None:
    keys = {f"remove_downloaded_videos_{name}": True}
    with videos(tmp_path, only=(name,), **keys) as (_, settings, _):
        most = 0
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.002):
                root = settings.subset(name).folder / "downloaded_videos"
                with contextlib.suppress(FileNotFoundError):
                    found = [path for path in root.rglob("*") if path.suffix in (".mp4", ".part")]
                    most = max(most, len({path.stem.split(".mp4")[0] for path in found}))

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert prepare(settings, name) == 0
        done.set()
        watcher.join()
        assert most <= settings.keys.jobs + 2
        left = list(settings.subset(name).raw_folder.glob("*.mp4"))
        assert left == []
        # Nothing is fetched for frames that are done, although the videos are removed.
        before = tree(settings.silver)
        assert prepare(settings, name) == 0
        assert tree(settings.silver) == before


def test_no_secret_is_anywhere(tmp_path: Path, saco: Saco) -> None:
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(
        "# Netscape HTTP Cookie File\n"
        f".youtube.com\tTRUE\t/\tTRUE\t2000000000\tLOGIN_INFO\t{COOKIE}\n"
    )
    cookies.chmod(0o600)
    folder = tmp_path / "run"
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with videos(folder, cookies_path=str(cookies)) as (mounts, settings, _):
        talk = ""
        for gate in ("SignatureDoesNotMatch", ""):
            mounts.servers["ego4d"].gate.all = gate
            told = saco("-v", "prepare", *VIDEO_SUBSETS, cwd=folder)
            talk += told.stdout + told.stderr
        assert told.returncode == 0, told.stderr
        signature = mounts.servers["yt1b"].signature
    done.set()
    watcher.join()
    written = b"".join(
        path.read_bytes() for path in settings.state.rglob("*") if path.is_file()
    ) + b"".join(path.read_bytes() for path in settings.silver.rglob("*.json"))
    places = {"talk": talk, "state": written.decode(errors="replace"), "ps": " ".join(seen)}
    for secret in (SECRET_KEY, COOKIE, signature, "Signature=sandbox"):
        for place, text in places.items():
            assert secret not in text, (place, secret)
    assert ACCESS_KEY not in places["state"] and ACCESS_KEY not in places["ps"]


def check_killed_and_finished(base: Path, moments: list[float], saco: Saco) -> None:
    """Checks that a run killed at some moments and then finished equals an undisturbed one."""
    trees = []
    for name in ("calm", "stormy"):
        folder = base / name
        with videos(folder, remove_downloaded_videos_droid=True):
            for moment in moments if name == "stormy" else ():
                process = subprocess.Popen(
                    [Path(sys.executable).with_name("saco"), "prepare", *VIDEO_SUBSETS],
                    cwd=folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                time.sleep(moment)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            done = saco("prepare", *VIDEO_SUBSETS, cwd=folder)
            assert done.returncode == 0, done.stderr
        trees.append({**tree(folder / "data" / "silver"), **_frames(folder)})
    assert trees[0] == trees[1]


def _frames(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in VIDEO_SUBSETS:
        root = folder / "data" / name
        inner = tree(root / "frames") | tree(root / "downloaded_videos")
        found |= {f"{name}/{key}": content for key, content in inner.items()}
    return found


def test_killed_in_mid_download_and_mid_extraction(tmp_path: Path, saco: Saco) -> None:
    check_killed_and_finished(tmp_path, [0.9, 1.3, 1.8], saco)
