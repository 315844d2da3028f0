"""A process that has imported everything and forks a child for each `saco` command.

A child is a real process with its own streams, working folder and environment, but starts in
milliseconds. The process has no thread of its own, so that forking it is safe.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from saco_data import executors
from tests.helpers.executor import InlineExecutor

POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: a signal; None: it hung), and its talk."""

    code: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.stdout + self.stderr


class ForkServer:
    """A context manager; `preload` is a shared library that the commands load first."""

    def __init__(self, folder: Path, preload: Path | None = None) -> None:
        self._streams = folder / "streams"
        self._preload = preload

    def __enter__(self) -> Self:
        self._streams.mkdir(parents=True, exist_ok=True)
        extra = {"LD_PRELOAD": str(self._preload)} if self._preload else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **extra, "OPENBLAS_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def run(
        self,
        *arguments: str,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        seconds: float = 120,
        inline: bool = False,
    ) -> Ended:
        """Runs `saco` with these arguments; stops it and its processes after `seconds`.

        `inline`: it decodes in its own process, without workers, which starts faster.
        """
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": dict(environment or {}),
            "streams": str(self._streams),
            "seconds": seconds,
            "inline": inline,
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = (
            (self._streams / name).read_text(errors="replace") for name in ("stdout", "stderr")
        )
        return Ended(answer["code"], out, err, answer["seconds"])


def _import_all() -> None:
    import saco_data

    for module in pkgutil.walk_packages(saco_data.__path__, "saco_data."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("aiohttp", "av", "boto3", "fathomnet", "pandas", "pyarrow.parquet", "yt_dlp"):
        importlib.import_module(name)


def _serve() -> None:
    _import_all()
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(request)
        code = _wait(child, request["seconds"])
        answer = {"code": code, "seconds": time.monotonic() - started}
        print(json.dumps(answer), flush=True)


def _wait(child: int, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run(request: dict[str, Any]) -> None:
    """The child: becomes the command, and ends with its exit code."""
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    if os.environ.get("DISTURB_WHOM") == "main":
        os.environ["DISTURB_WHOM"] = str(os.getpid())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        path = Path(request["streams"]) / name
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = ["saco", *request["arguments"]]
    if os.environ.get("LD_PRELOAD"):
        ctypes.CDLL(None).disturb_arm()
    if request["inline"]:
        executors.make = lambda settings: InlineExecutor()
    code = 1
    try:
        from saco_data.cli.main import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    import threading

    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
