"""Progress: bars on a real terminal, lines elsewhere, and what Ctrl-C leaves."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import shutil
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from saco_data.model.reasons import Reason
from saco_data.model.records import Asset, Outcome, Product
from saco_data.planning.decisions import Decision, Step, SubsetPlan
from saco_data.report.console import Lines, readable
from saco_data.report.progress import Bars
from saco_data.sandbox.miniature import build, serve
from tests.conftest import Saco
from tests.helpers.folders import config

SACO = Path(sys.executable).with_name("saco")


def steps(subset: str, wanted: int, kept: int = 0) -> SubsetPlan:
    def some(decision: Decision, count: int) -> Step:
        products = tuple(Product(f"{decision}{n}.jpg", 1, 1) for n in range(count))
        return Step(decision, Asset(decision, products))

    return SubsetPlan(subset, [some(Decision.FETCH, wanted), some(Decision.KEEP, kept)])


def outcome(name: str, reason: Reason = Reason.OK, size: int | None = None) -> Outcome:
    return Outcome("nga", name, reason, bytes=size)


@pytest.fixture
def slow(served: Path) -> Path:
    """The same with nothing done yet."""
    shutil.rmtree(served / "data", ignore_errors=True)
    return served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A config for two sources that are asked politely: a dozen seconds each."""
    folder = tmp_path_factory.mktemp("slow")
    with serve(folder / "raw", build(folder, ["nga", "geode"]).subsets) as mounts:
        mounts.keys["limits"] = {"nga": {"requests_per_second": 0.5, "concurrency": 1}}
        config(folder, **mounts.keys)
        yield folder


class Terminal:
    """`saco` in a terminal of its own, 80 by 24, seen as bytes."""

    def __init__(self, folder: Path, *arguments: str, kind: str = "xterm") -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["TERM"] = kind
            os.environ.pop("NO_COLOR", None)
            os.execv(SACO, [str(SACO), *arguments])
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.text = ""

    def until(self, pattern: str, seconds: float = 300) -> None:
        """Reads until a pattern is seen."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"never saw {pattern!r} in {self.text[-2000:]!r}")
            assert self.read(), f"ended without {pattern!r}: {self.text[-2000:]!r}"

    def read(self) -> bool:
        """Takes what there is; False at the end."""
        if not select.select([self._terminal], [], [], 0.1)[0]:
            return True
        try:
            piece = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)

    def interrupt(self) -> None:
        """Presses Ctrl-C, which reaches all processes of the terminal."""
        os.write(self._terminal, b"\x03")

    def wait(self) -> int:
        """Reads to the end; returns the exit code."""
        while self.read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def screen(text: str) -> list[str]:
    """What stays on a screen of endless height: enough of a terminal for what rich sends."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if token == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif token == "\r":
            column = 0
        elif token.endswith("A") and token.startswith("\x1b"):
            row = max(0, row - int(token[2:-1] or 1))
        elif token == "\x1b[2K":
            rows[row] = ""
        elif not token.startswith("\x1b"):
            line = rows[row].ljust(column)
            rows[row] = line[:column] + token + line[column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in rows]


def test_ctrl_c_stops_cleanly_and_leaves_a_clean_screen(slow: Path) -> None:
    terminal = Terminal(slow, "prepare", "nga")
    terminal.until("━.*[1-5]/6")
    terminal.interrupt()
    terminal.until("stopping")
    assert terminal.wait() == 130
    left = screen(terminal.text)
    assert "error: stopped by Ctrl-C. What is done is kept: run again to go on" in left
    assert not any("━" in line for line in left), left
    assert "Traceback" not in terminal.text
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l"), "cursor is back"
    assert any(re.match(r"nga: ended, [1-5] done of \d in", line) for line in left), left


def test_the_second_ctrl_c_ends_at_once(slow: Path) -> None:
    terminal = Terminal(slow, "prepare", "nga")
    terminal.until(r"[1-5]/6")
    terminal.interrupt()
    terminal.until("stopping")
    terminal.interrupt()
    assert terminal.wait() == 130
    assert "Interrupted. What was done is kept" in terminal.text  # not the end of a clean stop
    assert "Traceback" not in terminal.text
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert not any("━" in line for line in screen(terminal.text))


def test_a_run_that_goes_well_leaves_one_line_a_subset(slow: Path) -> None:
    terminal = Terminal(slow, "prepare", "geode")
    assert terminal.wait() == 0
    left = [line for line in screen(terminal.text) if line.startswith("geode: ended")]
    assert len(left) == 1
    assert left[0].startswith("geode: ended, 5 done, 1 gone of 6 in ")
    assert left[0].endswith("(not_in_archive 1)")


def test_without_a_terminal_there_are_plain_lines(slow: Path, saco: Saco) -> None:
    done = saco("prepare", "geode", cwd=slow)
    assert "\x1b" not in done.stderr and "━" not in done.stderr
    assert "geode: 6 of 6 files to make" in done.stderr
    done = saco("prepare", "geode", cwd=slow)
    assert "geode: nothing to do, 6 files are settled" in done.stderr
    assert "settled" not in saco("-q", "prepare", "geode", cwd=slow).stderr


def test_a_log_gets_a_line_now_and_then_with_the_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines(line_seconds=0)
    lines.begin(steps("nga", 4, kept=6))
    lines.learned("nga", [outcome("a", size=2000)])
    lines.learned("nga", [outcome("b", Reason.NETWORK), outcome("c", Reason.HTTP_404)])
    lines.learned("nga", [outcome("b", size=3000)])  # it was tried again
    lines.end("nga", 0)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "nga: 4 of 10 files to make"
    assert said[1] == "nga: 1 of 4, 2.0 kB"
    assert said[2].startswith("nga: 3 of 4") and "network 1" in said[2]
    assert said[3] == "nga: 3 of 4, 5.0 kB, http_404 1"
    assert said[4] == "nga: ended, 2 done, 1 gone of 4 in 0 s (http_404 1)"


def test_lines_are_not_printed_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(line_seconds=60)
    lines.begin(steps("nga", 100))
    for number in range(99):
        lines.learned("nga", [outcome(str(number))])
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_notes_stand_above_the_bars() -> None:
    file = io.StringIO()
    bars = Bars(Console(file=file, force_terminal=True, width=80, color_system=None))
    bars.begin(steps("nga", 4))
    bars.begin(steps("geode", 2))
    bars.learned("nga", [outcome("a", size=2000), outcome("b", Reason.HTTP_404)])
    bars.note("nga", "warning: [bold]odd[/bold] counts")
    bars.end("geode", 0)
    during = screen(file.getvalue().replace("\n", "\r\n"))
    assert "nga: warning: [bold]odd[/bold] counts" in during
    assert max(map(len, during)) <= 80
    bars.end("nga", 0)
    bars.close()
    left = [line for line in screen(file.getvalue().replace("\n", "\r\n")) if line]
    assert [line.partition(",")[0] for line in left] == [
        "nga: warning: [bold]odd[/bold] counts",
        "geode: ended",
        "nga: ended",
    ]


def test_several_subsets_have_a_total_with_bytes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    file = io.StringIO()
    bars = Bars(Console(file=file, force_terminal=True, width=80, color_system=None))
    bars.begin(steps("nga", 4))
    bars.begin(steps("geode", 2))
    now += 2
    bars.learned("nga", [outcome("a", size=6_000_000)])
    bars.end("geode", 0)
    bars._progress.refresh()
    during = screen(file.getvalue().replace("\n", "\r\n"))
    (total,) = [line for line in during if line.startswith("together")]
    assert "1/6" in total and "6.0 MB 3.0 MB/s" in total and len(total) <= 80
    assert during.index(total) == len([line for line in during if line]) - 1, "the last line"
    bars.close()
    assert not any("together" in line for line in screen(file.getvalue().replace("\n", "\r\n")))


def test_the_first_seconds_say_what_happens() -> None:
    file = io.StringIO()
    bars = Bars(Console(file=file, force_terminal=True, width=80, color_system=None))
    bars.wait("reading [annotations]")
    bars._progress.refresh()
    assert "reading [annotations]" in file.getvalue()
    bars.begin(steps("nga", 4))
    bars._progress.refresh()
    during = screen(file.getvalue().replace("\n", "\r\n"))
    assert not any("reading" in line for line in during) and any("0/4" in each for each in during)
    bars.close()


@pytest.mark.parametrize(("done", "bar"), [(0, "------"), (2, "###"), (4, "######")])
def test_without_colour_the_parts_of_a_bar_differ(
    monkeypatch: pytest.MonkeyPatch, done: int, bar: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    bars = Bars(Console(file=file, force_terminal=True, width=80))
    bars.begin(steps("nga", 4))
    bars.learned("nga", [outcome(str(number)) for number in range(done)])
    bars._progress.refresh()
    during = screen(file.getvalue().replace("\n", "\r\n"))
    (line,) = [each for each in during if each.startswith("nga")]
    assert bar in line and ("#" in line) == bool(done) and ("-" in line) == (done < 4)
    bars.close()


def test_names_from_outside_do_not_control_the_terminal() -> None:
    assert "\x1b" not in readable("nga", "\x1b[2Jgone.jpg: no such file")
    assert readable("nga", "nga: closed") == "nga: closed"
    assert readable("nga", f"{Path.cwd()}/a/b.json: missing") == "nga: a/b.json: missing"


def test_a_dumb_terminal_gets_lines(slow: Path) -> None:
    terminal = Terminal(slow, "prepare", "geode", kind="dumb")
    assert terminal.wait() == 0
    assert "━" not in terminal.text
