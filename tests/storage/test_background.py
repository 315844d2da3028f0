"""Files are finished in threads: nothing has its final name before, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from saco_data.model.errors import OutputError
from saco_data.storage import files
from saco_data.storage.background import THREADS, Background


def write(path: Path, content: bytes, finish: Callable[[Callable[[], None]], None]) -> None:
    with files.open_atomic(path, finish=finish) as file:
        file.write(content)


def test_a_file_has_its_name_only_once_it_is_finished(tmp_path: Path) -> None:
    waiting: list[Callable[[], None]] = []
    write(tmp_path / "a", b"whole", waiting.append)
    (name,) = [path.name for path in tmp_path.iterdir()]
    assert files.is_temporary(name)
    waiting.pop()()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]


def test_a_file_that_fails_is_not_finished(tmp_path: Path) -> None:
    waiting: list[Callable[[], None]] = []
    with pytest.raises(RuntimeError), files.open_atomic(tmp_path / "a", finish=waiting.append):
        raise RuntimeError
    assert not waiting and not list(tmp_path.iterdir())


def test_the_end_waits_for_all_files(tmp_path: Path) -> None:
    names = [f"{number:02d}" for number in range(50)]
    with Background() as background:
        for name in names:
            write(tmp_path / name, name.encode(), background.call)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: name for name in names
    }


def test_an_error_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write"), Background() as background:
        write(tmp_path / "a", b"", background.call)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_later_calls_tell_of_an_earlier_error() -> None:
    def fail() -> None:
        raise RuntimeError("first")

    with pytest.raises(RuntimeError, match="first"), Background() as background:
        for _ in range(3 * THREADS):
            background.call(fail)


def test_the_error_of_the_block_goes_first() -> None:
    is_ended = threading.Event()

    def fail() -> None:
        is_ended.wait()
        raise RuntimeError("in a thread")

    with pytest.raises(ValueError, match="in the block"), Background() as background:
        background.call(fail)
        is_ended.set()
        raise ValueError("in the block")


def test_few_calls_wait() -> None:
    go_on, begun = threading.Event(), []

    def call() -> None:
        with Background() as background:
            for number in range(10 * THREADS):
                background.call(go_on.wait)
                begun.append(number)

    caller = threading.Thread(target=call)
    caller.start()
    caller.join(0.2)
    assert len(begun) <= 2 * THREADS
    go_on.set()
    caller.join()
    assert len(begun) == 10 * THREADS
