"""Invariants of a run, after any sequence of events: products, annotations and ledger agree.

A small subset comes from an archive on a server on loopback. Hypothesis draws sequences of what
users, sources and power failures do; the invariants are checked after each step.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as campaign

from saco_data.dataset.pruned import sidecar
from saco_data.engine import session
from saco_data.engine.events import Stages
from saco_data.engine.sync import sync
from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.state.ledger import Ledger
from tests.helpers.annotations import annotate
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes
from tests.helpers.seeds import choose_seed
from tests.helpers.stopping import die_at
from tests.helpers.tiny_subset import DAY, HOUR, NAMES, PICTURES, START, SUBSET, archive, pairs


class Availability(RuleBasedStateMachine):
    """The model: what the source has, what is annotated, and the time."""

    confirm_hours: float = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="saco-invariants-"))
        self.there = set(NAMES)
        self.version = 0
        self.time = START
        self.server = FileServer()
        self.server.__enter__()
        self.publish()
        self.revision = 0
        self.annotated = list(NAMES)
        self.remembered: set[str] = set()
        self.annotate()
        self.settings = config(
            self.folder,
            silver_path="silver",
            bdd100k_raw=f"{self.server.url}/bdd100k.tar",
            gone_confirm_hours=self.confirm_hours,
            jobs=1,
        )
        self.ran = False

    def teardown(self) -> None:
        self.server.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    def publish(self) -> None:
        # Another version has another ETag, of the same pictures.
        self.version += 1
        self.server.files["/bdd100k.tar"] = archive(self.there, self.version)

    def annotate(self) -> None:
        self.pristine = json.dumps(pairs(self.annotated, self.revision)).encode()
        self.path = annotate(self.folder, SUBSET, self.pristine)

    def clock(self) -> float:
        return self.time

    # Actions of users.

    @rule()
    def prepare(self) -> None:
        self.go(Stages())

    @rule()
    def prune(self) -> None:
        self.go(Stages(fetch=False, process=False))

    @rule()
    def confirm(self) -> None:
        self.go(Stages(fetch=False, process=False), confirm_gone=True)

    @rule(full=st.booleans())
    def sync(self, full: bool) -> None:
        before = self.states()
        with self.watched():
            sync(
                self.settings,
                [SUBSET],
                Notes(),
                full=full,
                clock=self.clock,
                executor=InlineExecutor(),
            )
        if full:
            self.check_whole()
        if self.long_ago:
            # Verdicts of any age are looked at again at least once a month.
            for name in filter(self.can_come, self.annotated):
                assert before.get(name) is None or self.states()[name] is State.DONE
        self.long_ago = False

    long_ago = False

    @rule(point=st.integers(0, 60), syncs=st.booleans())
    def killed(self, point: int, syncs: bool) -> None:
        """A run in its own process, killed at its n-th change to the file system."""
        child = os.fork()
        if child == 0:
            die_at(point)
            with contextlib.suppress(BaseException):
                if syncs:
                    sync(
                        self.settings,
                        [SUBSET],
                        Notes(),
                        clock=self.clock,
                        executor=InlineExecutor(),
                    )
                else:
                    self.go(Stages())
            os._exit(0)
        os.waitpid(child, 0)
        self.killed_last = True

    killed_last = False

    def go(self, stages: Stages, *, confirm_gone: bool = False) -> None:
        with self.watched():
            session.go(
                self.settings,
                [SUBSET],
                "test",
                Notes(),
                stages=stages,
                confirm_gone=confirm_gone,
                clock=self.clock,
                executor=InlineExecutor(),
            )

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Checks that a run changes states only as the source or the disk justify."""
        before = self.states()
        there = {name for name in NAMES if (self.settings.subset(SUBSET).images / name).exists()}
        yield
        after = self.states()
        for name in self.annotated:
            was, now = before.get(name), after.get(name)
            if now is State.GONE and was is not State.GONE:
                # `remembered`: it was gone when the annotations last named it.
                assert self.is_seen_missing(name) or name in self.remembered
            if now is not None and now is not State.GONE:
                self.remembered.discard(name)
            if was is State.GONE and now is not State.GONE:
                assert name in there or self.may_return(name)
            if was is State.DONE and name in there and not self.rotten:
                assert now is State.DONE
        folder = self.settings.subset(SUBSET).raw_folder
        self.had_raw = folder.exists() and any(folder.glob("[!.]*.jpg"))
        self.ran = True
        self.killed_last = False

    # Whether raw files were there when the last run ended: they may vanish after it.
    had_raw = False

    @property
    def reachable(self) -> bool:
        return self.server.files["/bdd100k.tar"] != b"" and self.server.faults is None

    def can_come(self, name: str) -> bool:
        return self.reachable and name in self.there

    def may_return(self, name: str) -> bool:
        """Whether a gone file may have another state after a run."""
        return self.can_come(name)

    def is_seen_missing(self, name: str) -> bool:
        return self.reachable and name not in self.there

    # Events at sources.

    @initialize(names=st.sets(st.sampled_from(NAMES)), prepared=st.booleans())
    def some_are_not_there(self, names: set[str], prepared: bool) -> None:
        self.there -= names
        self.publish()
        if prepared:
            self.prepare()

    @rule(name=st.sampled_from(NAMES), everywhere=st.booleans())
    def vanishes(self, name: str, everywhere: bool) -> None:
        self.there.discard(name)
        self.publish()
        if everywhere:
            for folder in (
                self.settings.subset(SUBSET).images,
                self.settings.subset(SUBSET).raw_folder,
            ):
                (folder / name).unlink(missing_ok=True)

    @rule(name=st.sampled_from(NAMES))
    def returns(self, name: str) -> None:
        self.there.add(name)
        self.publish()

    @rule(refused=st.booleans())
    def network_fails(self, refused: bool) -> None:
        """From now on the server answers with nothing, or refuses as for an expired link."""
        if refused:
            self.server.faults = Faults(kinds=(Fault.EXPIRED,), probability=1)
        else:
            self.server.files["/bdd100k.tar"] = b""

    @rule(all_return=st.booleans())
    def network_recovers(self, all_return: bool) -> None:
        self.server.faults = None
        if all_return:
            self.there = set(NAMES)
        self.publish()

    @rule(names=st.sets(st.sampled_from(NAMES), min_size=1))
    def annotations_change(self, names: set[str]) -> None:
        self.revision += 1
        known = self.states()
        dropped = set(self.annotated) - names
        self.remembered |= {name for name in dropped if known.get(name) is State.GONE}
        self.annotated = sorted(names)
        self.annotate()
        self.ran = False
        # Files that no run verified meanwhile may be damaged.
        self.rotten = True

    # Time and disks.

    @rule(days=st.sampled_from([0.05, 1.1, 8, 40]))
    def time_passes(self, days: float) -> None:
        self.time += int(days * DAY)
        self.long_ago |= days >= 40

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["cut", "flipped", "deleted"]))
    def rots(self, name: str, how: str) -> None:
        self.damage(self.settings.subset(SUBSET).images / name, name, how)

    def damage(self, path: Path, name: str, how: str) -> None:
        # Only the ledger can show that a file of the same size changed.
        unknown = how == "flipped" and self.states().get(name) is not State.DONE
        if unknown or not path.exists():
            return
        written = path.stat()
        if how == "deleted":
            path.unlink()
        elif how == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        else:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0xFF
            path.write_bytes(content)
        if how != "deleted":
            # A disk damages bytes, not dates: a raw file with another date is the user's.
            os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
        self.rotten = True

    rotten = False

    @precondition(lambda self: self.ran)
    @rule(how=st.sampled_from(["deleted", "damaged", "cut"]))
    def ledger_is_lost(self, how: str) -> None:
        path = self.settings.state / "ledger.sqlite"
        if self.rotten or not path.exists():
            return
        if how == "deleted":
            path.unlink()
            path.with_name("ledger.sqlite-journal").unlink(missing_ok=True)
        elif how == "damaged":
            path.write_bytes(b"not a database at all" + path.read_bytes()[21:])
        else:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.ran = False

    # Invariants.

    def states(self) -> dict[str, State]:
        with contextlib.suppress(SacoError), Ledger(self.settings.state, read_only=True) as ledger:
            return {name: item.state for name, item in ledger.items(SUBSET).items()}
        return {}

    @invariant()
    def pristine_annotations_never_change(self) -> None:
        assert self.path.read_bytes() == self.pristine

    @invariant()
    def kept_and_removed_are_the_original(self) -> None:
        derived = self.settings.subset(SUBSET).derived
        if not derived.exists():
            return
        kept = json.loads(derived.read_bytes())
        record = sidecar(derived)
        if not (self.ran and not self.killed_last):
            return
        original = json.loads(self.pristine)
        removed = json.loads(record.read_bytes()) if record.exists() else {}
        names = {
            each for some in removed.get("removed_files_by_reason", {}).values() for each in some
        }
        ids = {each for some in removed.get("removed_ids_by_reason", {}).values() for each in some}
        # In original order, with every other field.
        assert kept["images"] == [each for each in original["images"] if each["id"] not in ids]
        assert kept["annotations"] == [
            each for each in original["annotations"] if each["image_id"] not in ids
        ]
        assert {e["file_name"] for e in original["images"] if e["id"] in ids} == names
        assert kept["info"] == original["info"]

    @invariant()
    def removed_is_exactly_what_is_gone_and_confirmed(self) -> None:
        derived = self.settings.subset(SUBSET).derived
        if not (self.ran and not self.killed_last and derived.exists()):
            return
        kept = {each["file_name"] for each in json.loads(derived.read_bytes())["images"]}
        with Ledger(self.settings.state, read_only=True) as ledger:
            items = ledger.items(SUBSET)
        gone = {name for name, item in items.items() if item.is_confirmed(self.confirm_hours)}
        said = {name for name, item in items.items() if item.state is State.GONE}
        states = {items[name].state for name in set(self.annotated) & items.keys()}
        if said and State.DONE not in states and not self.had_raw:
            # From a source that never gave a file, "gone" counts only once the user confirms it.
            gone = {name for name in gone if items[name].gone_confirmed}
        assert set(self.annotated) - kept == gone & set(self.annotated)
        for name in gone:
            assert items[name].reason is Reason.NOT_IN_ARCHIVE
            if self.confirm_hours and not items[name].gone_confirmed:
                first, last = items[name].gone_first, items[name].gone_last
                assert first and last and last - first >= self.confirm_hours * HOUR

    @invariant()
    def products_under_final_names_are_whole(self) -> None:
        if not self.rotten:
            self.check_whole()

    def check_whole(self) -> None:
        self.rotten = False
        # Only what the annotations name now counts as a product.
        for name in self.annotated:
            path = self.settings.subset(SUBSET).images / name
            assert not path.exists() or path.read_bytes() == PICTURES[name]


class WithSecondLook(Availability):
    """The same, where "gone" must be seen twice, at least a day apart, before it counts."""

    confirm_hours = 24


def examples(sequences: int, steps: int) -> Any:
    return settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def run_sequences(machine: type[Availability], count: int, at_once: int = 25) -> None:
    """Runs `count` sequences, with a new seed every `at_once`.

    Hypothesis tends to vary earlier examples: new seeds reach more of the state space.
    """
    number = choose_seed()
    print(f"\n{machine.__name__}: {count} sequences, SACO_SEED={number}")
    for start in range(0, count, at_once):
        seed(number + start)(machine)
        campaign(machine, settings=examples(min(at_once, count - start), 20))


@pytest.mark.parametrize("machine", [Availability, WithSecondLook])
def test_some_sequences(machine: type[Availability]) -> None:
    run_sequences(machine, 6)


@pytest.mark.long
@pytest.mark.parametrize("machine", [Availability, WithSecondLook])
def test_a_thousand_sequences(machine: type[Availability]) -> None:
    run_sequences(machine, 500)
