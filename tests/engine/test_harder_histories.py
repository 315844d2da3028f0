"""The histories of `test_invariants`, with more that happens to people.

They have raw files of their own, sound or damaged; folders become read-only for a while; raw files
rot; archives are packed in another way, or hold a name twice; the clock jumps.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from saco_data.model.errors import OutputError
from saco_data.sandbox.packing import pack_tar
from tests.engine.test_invariants import Availability, run_sequences
from tests.helpers.tiny_subset import DAY, NAMES, PICTURES, SUBSET

USUAL = "bdd100k/images/100k/train/"
# Folders in which an archive may hold the pictures; more than one: each has all of them.
PLACES = ((USUAL,), ("100k/train/",), ("mirror/pictures/",), ("a/", "b/"), ("BDD100K/Train/",))
CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir"}
read_only: set[Path] = set()  # folders that refuse changes in a run, for the superuser too


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what a read-only folder refuses."""
    if not read_only:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 0o3
    if not (writes or event in CHANGES):
        return
    for name in arguments[:2]:
        if isinstance(name, (str, os.PathLike)) and read_only & {*Path(name).parents}:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))


class HarderHistory(Availability):
    """The model, with the user's own raw files, read-only folders, moved members and a clock."""

    def __init__(self) -> None:
        self.places: tuple[str, ...] = PLACES[0]
        super().__init__()
        self.own: dict[Path, tuple[bytes, int, int]] = {}  # content, inode and mtime
        self.latest = self.time
        self.protected: set[Path] = set()

    def teardown(self) -> None:
        read_only.clear()
        super().teardown()

    def publish(self) -> None:
        self.version += 1
        members = {
            f"{place}{name}": PICTURES[name] for place in self.places for name in sorted(self.there)
        }
        content = pack_tar({"bdd100k/README": str(self.version).encode(), **members})
        self.server.files["/bdd100k.tar"] = content

    @rule(places=st.sampled_from(PLACES))
    def members_move(self, places: tuple[str, ...]) -> None:
        self.places = places
        if self.server.files["/bdd100k.tar"]:
            self.publish()

    @rule(name=st.sampled_from(NAMES), is_sound=st.booleans())
    def user_has_a_raw_file(self, name: str, is_sound: bool) -> None:
        path = self.settings.subset(SUBSET).raw_folder / name
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = PICTURES[name] if is_sound else PICTURES[name][:-100]
        path.write_bytes(content)
        status = path.stat()
        self.own[path] = content, status.st_ino, status.st_mtime_ns
        self.ran = False  # the next run may decide otherwise

    @rule(name=st.sampled_from(NAMES), everywhere=st.booleans())
    def vanishes(self, name: str, everywhere: bool) -> None:
        super().vanishes(name, everywhere)
        if everywhere:  # the user's own file, too, by the user
            self.own.pop(self.settings.subset(SUBSET).raw_folder / name, None)
            self.ran = False

    @rule(what=st.sampled_from(["images", "raw", "annotations", "nothing"]))
    def folders_become_read_only(self, what: str) -> None:
        config = self.settings.subset(SUBSET)
        folders = {"images": config.images, "raw": config.raw_folder}
        folders["annotations"] = config.derived.parent
        self.protected = {folders[what]} if what in folders else set()
        if self.protected:
            self.long_ago = False

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["cut", "flipped", "deleted"]))
    def raw_file_rots(self, name: str, how: str) -> None:
        path = self.settings.subset(SUBSET).raw_folder / name
        if path not in self.own:
            self.damage(path, name, how)
            self.ran = False

    @rule(days=st.sampled_from([-400, -2, -0.01, 3000]))
    def clock_jumps(self, days: float) -> None:
        self.time = max(1, self.time + int(days * DAY))
        self.latest = max(self.latest, self.time)
        self.long_ago = False

    @rule(days=st.sampled_from([0.05, 1.1, 8, 40]))
    def time_passes(self, days: float) -> None:
        was, before = self.long_ago, self.time
        super().time_passes(days)
        # While the clock is behind, how old a verdict is cannot be known.
        self.long_ago = was or (days >= 40 and before >= self.latest and not self.protected)
        self.latest = max(self.latest, self.time)

    @contextmanager
    def watched(self) -> Iterator[None]:
        read_only.update(self.protected)
        # Reading only, it cannot do its work, but must not undo any.
        try:
            with super().watched(), suppress(*((OutputError,) if self.protected else ())):
                yield
        finally:
            read_only.clear()
        if self.protected:
            self.killed_last = True

    @rule(point=st.integers(0, 60), syncs=st.booleans())
    def killed(self, point: int, syncs: bool) -> None:
        read_only.update(self.protected)
        try:
            super().killed(point, syncs)
        finally:
            read_only.clear()

    def check_whole(self) -> None:
        if not self.protected:
            super().check_whole()

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["cut", "flipped", "deleted"]))
    def rots(self, name: str, how: str) -> None:
        path = self.settings.subset(SUBSET).images / name
        own = self.settings.subset(SUBSET).raw_folder / name
        # A product may be the user's own file: what damages that is not ours to mend.
        if own not in self.own or not path.exists() or not path.samefile(own):
            super().rots(name, how)

    def _own_is_sound(self, name: str) -> bool | None:
        path = self.settings.subset(SUBSET).raw_folder / name
        return self.own[path][0] == PICTURES[name] if path in self.own else None

    def can_come(self, name: str) -> bool:
        in_archive = super().can_come(name) and len(self.places) == 1
        return in_archive or bool(self._own_is_sound(name))

    def may_return(self, name: str) -> bool:
        # What the archive has where it cannot be used, and what the user has damaged, is not gone.
        return super().can_come(name) or self._own_is_sound(name) is not None

    def is_seen_missing(self, name: str) -> bool:
        return super().is_seen_missing(name) and not self._own_is_sound(name)

    @invariant()
    def what_is_the_users_stays(self) -> None:
        for path, (content, inode, time) in self.own.items():
            status = path.stat()
            assert (status.st_ino, status.st_mtime_ns) == (inode, time)
            assert path.read_bytes() == content


@pytest.fixture(autouse=True, scope="module")
def audited() -> None:
    sys.addaudithook(refuse)


def test_some_sequences() -> None:
    run_sequences(HarderHistory, 6)


@pytest.mark.long
def test_five_hundred_sequences() -> None:
    run_sequences(HarderHistory, 500)
