"""Where mutated inputs are tried: a process that starts commands, and one class a kind of input."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from saco_data.config.settings import Settings
from saco_data.model.errors import SacoError
from saco_data.model.reasons import State
from saco_data.sandbox.http_server import FileServer
from tests.helpers.fork_server import Ended, ForkServer
from tests.helpers.pipeline import states

SECONDS = 60
# Nothing leaves this machine, whatever address a mutation makes.
OFFLINE = {
    **dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
    ),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
}
Command = tuple[str, ...]


@dataclass
class Bench:
    """A folder, a server on loopback, and the process that starts commands."""

    folder: Path
    server: FileServer
    starter: ForkServer
    codes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0

    def run(
        self, command: Command, cwd: Path, environment: Mapping[str, str], *, inline: bool
    ) -> Ended:
        """Runs a command; a hang, a crash, exit 1 and a traceback fail."""
        ended = self.starter.run(
            *command, cwd=cwd, environment=environment, seconds=SECONDS, inline=inline
        )
        if ended.code is not None and ended.code < 0 and inline:
            # A decoder that crashes ends its worker, where there is one.
            ended = self.starter.run(*command, cwd=cwd, environment=environment, seconds=SECONDS)
        self.codes[str(ended.code)] += 1
        self.slowest = max(self.slowest, ended.seconds)
        about = f"{command}: exit {ended.code}\n{ended.stderr[-3000:]}"
        assert ended.code is not None, f"hung above {SECONDS} s: {about}"
        assert ended.code > 1 or ended.code == 0, about
        assert "Traceback" not in ended.text, about
        return ended


class Kind:
    """One kind of input."""

    name: ClassVar[str]
    share: ClassVar[int]  # of 5,000
    is_quick: ClassVar[bool] = True  # without workers, but for some

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.base = bench.folder / self.name.replace(" ", "_")
        self.base.mkdir()
        self.environment: Mapping[str, str] = OFFLINE

    @contextlib.contextmanager
    def set_up(self) -> Iterator[None]:
        """What lasts for all inputs of this kind."""
        yield

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        """Writes a copy with one mutated input; returns the commands to try on it."""
        raise NotImplementedError

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        """Fails if something was lost, or wrongly called gone."""

    def try_one(self, number: int, seed: int) -> None:
        """Tries the mutated input of this number."""
        dice = random.Random(f"{seed} {self.name} {number}")
        folder = self.base / f"{number:05d}"
        folder.mkdir()
        commands = self.make(folder, dice)
        inline = self.is_quick and dice.random() < 0.97
        codes = []
        for command in commands:
            ended = self.bench.run(command, folder, self.environment, inline=inline)
            codes.append(ended.code or 0)
        self.check(folder, codes)
        if not os.environ.get("SACO_KEEP"):
            shutil.rmtree(folder)


def gone(settings: Settings, subset: str) -> set[str]:
    """The products that the ledger calls gone."""
    with contextlib.suppress(SacoError):
        return {key for key, state in states(settings, subset).items() if state is State.GONE}
    return set()


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A bench in an empty folder."""
    with FileServer() as server, ForkServer(folder) as starter:
        yield Bench(folder, server, starter)
