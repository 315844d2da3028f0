"""Which node takes the next archive."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from typing import Any, cast

from saco_data.executors.cluster.placement import (
    WAIT_SECONDS,
    choose_node,
    find_loads,
    place,
)
from saco_data.executors.cluster.task import Task, number_of

TWO = {"a": 8, "b": 8}


def archive(number: int, address: str = "") -> Task:
    """An archive under way at a node, or waiting for one."""
    task = Task(number, f"set {number}.tar", b"", None, Future(), address)
    task.running = cast(Any, object()) if address else None
    return task


def test_a_node_without_an_archive_comes_first() -> None:
    assert choose_node({}, {}, 3, 0) is None
    assert choose_node(TWO, {"a": 1}, 3, 0) == "b"
    assert choose_node(TWO, {"a": 2, "b": 1}, 2, 0) == "b"


def test_an_archive_waits_for_a_node_that_is_to_come_but_not_for_ever() -> None:
    loads = {"a": 1, "b": 1}
    assert choose_node(TWO, loads, 3, 0) is None
    assert choose_node(TWO, loads, 3, WAIT_SECONDS + 1) == "a"


def test_a_node_takes_no_more_archives_than_it_has_threads() -> None:
    assert choose_node({"a": 1, "b": 2}, {"a": 1, "b": 1}, 2, 0) is None
    assert choose_node({"b": 2, "a": 1}, {"a": 1, "b": 1}, 2, 0) == "b"


def test_archives_are_spread_evenly() -> None:
    tasks = [archive(1, "a"), *(archive(number) for number in range(2, 7))]
    nodes = {**TWO, "c": 8}
    loads, lost = find_loads(tasks, nodes, {})
    assert len(place(tasks, nodes, loads, nodes=3)) == 5 and not lost
    assert Counter(task.address for task in tasks) == {"a": 2, "b": 2, "c": 2}


def test_an_archive_is_lost_when_no_node_has_it_at_two_looks() -> None:
    gone, moved = archive(1, "gone"), archive(2, "gone")
    for expected in ([], [gone]):
        loads, lost = find_loads([gone, moved], TWO, {2: "b"})
        assert lost == expected and loads["b"] == 1
    assert find_loads([gone, moved], TWO, {1: "a", 2: "b"})[1] == []
    assert find_loads([gone], TWO, {})[1] == []


def test_keys_name_the_task_and_those_of_others_do_not() -> None:
    task = archive(7)
    assert number_of(task.key("1a2b"), "1a2b") == 7
    assert number_of(task.key("3c4d"), "1a2b") is None
    for key in ("sum-0123", ("x", 0), ""):
        assert number_of(key, "1a2b") is None
