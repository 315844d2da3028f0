"""Which node takes the next whole archive: one that has none, as long as there is one to come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from distributed.deploy.adaptive import Adaptive

from saco_data.executors.cluster.task import Task

# So long an archive waits for a node of its own, before it shares one with others.
WAIT_SECONDS = 60.0


class Growth:
    """How many nodes a cluster is asked for. `adaptive`: None for one that does not grow."""

    def __init__(self, adaptive: Adaptive | None) -> None:
        self._adaptive = adaptive
        self._least = adaptive.minimum if adaptive else 0

    def ask_for(self, archives: int) -> int:
        """Asks for a node for each of so many archives; returns how many nodes there can be."""
        if self._adaptive is None:
            return 0
        most = int(self._adaptive.maximum)
        self._adaptive.minimum = max(self._least, min(archives, most))
        return most


def find_loads(
    whole: Sequence[Task], threads: Mapping[str, int], places: Mapping[int, str]
) -> tuple[Counter[str], list[Task]]:
    """How many archives each node has, and the archives whose node was lost.

    `threads`: of each node, by its address. `places`: where Dask has a task, by its number.
    """
    loads: Counter[str] = Counter()
    lost = []
    for task in whole:
        if task.running is None:
            continue
        address = places.get(task.number, task.address)
        loads[address] += 1
        # Dask may just be giving it to another node: only what is missing twice is lost.
        was_missed, task.is_missed = task.is_missed, address not in threads
        if was_missed and task.is_missed:
            lost.append(task)
    return loads, lost


def choose_node(
    threads: Mapping[str, int], loads: Mapping[str, int], expected: int, waited: float
) -> str | None:
    """The address of the node for one more archive; None where it is better to wait.

    `threads`: of each node; so many archives it can take at a time. `expected`: how many nodes
    there can be. `waited`: seconds that the archive has waited.
    """
    node = min(threads, key=lambda each: loads.get(each, 0), default=None)
    if node is None or not (load := loads.get(node, 0)):
        return node
    may_share = len(threads) >= expected or waited > WAIT_SECONDS
    return node if may_share and load < threads[node] else None


def place(
    whole: Sequence[Task], threads: Mapping[str, int], loads: Counter[str], nodes: int
) -> list[Task]:
    """The archives that can be sent now, with the `address` of a node for each.

    `nodes`: how many nodes there can be.
    """
    placed = []
    for task in whole:
        if task.running is None:
            waited = time.monotonic() - task.since
            node = choose_node(threads, loads, min(nodes, len(whole)), waited)
            if node is None:
                break
            loads[node] += 1
            task.address = node
            placed.append(task)
    return placed
