"""`saco status` says what each node does, while a run uses a cluster."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest

import saco_data
from saco_data.executors import Executor
from saco_data.executors.cluster import node_note
from saco_data.executors.cluster.choice import make_cluster
from saco_data.report.console import print_status
from tests.helpers.tiny_subset import SUBSET, TinySubset
from tests.helpers.waiting import wait_until


def wait_for_end(executor: Executor, stop: threading.Event, file: Path) -> str:
    """What a node does until a file is there."""
    wait_until(file.exists)
    return "done"


def test_status_says_what_nodes_do_as_long_as_they_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node_note, "WRITE_SECONDS", 0.1)
    small = TinySubset(tmp_path / "silver")
    folder = small.settings.state / "cluster"
    executor = make_cluster("dask", 2, folder)
    end = tmp_path / "end"
    try:
        whole = executor.submit_whole(wait_for_end, end, label="sa-v/train sav_007.tar")
        work = {socket.gethostname(): {"sa-v/train sav_007.tar": 1}}
        wait_until(lambda: (note := node_note.read(folder)) and note.nodes == work, 60)
        status = saco_data.status(small.settings, [SUBSET])
        assert status.as_json()["cluster"]["nodes"] == work
        print_status(status)
        shown = capsys.readouterr().out
        assert f"node {socket.gethostname()}: sa-v/train sav_007.tar\n" in shown
        end.touch()
        assert whole.result(timeout=60) == "done"
    finally:
        executor.close(now=True)
    assert "cluster" not in saco_data.status(small.settings, [SUBSET]).as_json()


def test_the_note_of_a_killed_run_is_told_stale_until_the_next_run(tmp_path: Path) -> None:
    small = TinySubset(tmp_path / "silver")
    folder = small.settings.state / "cluster"
    folder.mkdir(parents=True)
    content = {"written": time.time() - 600, "nodes": {"a": {"files of nga": 3}, "b": {}}}
    node_note.path_in(folder).write_text(json.dumps(content))
    note = saco_data.status(small.settings, [SUBSET]).cluster
    assert note is not None and note.is_stale
    assert note.describe()[0].startswith("the run on 2 nodes has not written for 10 min")
    small.prepare()
    assert saco_data.status(small.settings, [SUBSET]).cluster is None


@pytest.mark.parametrize("content", ["", "[]", '{"written": 1}', '{"written": 1, "nodes": [1]}'])
def test_a_damaged_note_is_none(tmp_path: Path, content: str) -> None:
    node_note.path_in(tmp_path).write_text(content)
    assert node_note.read(tmp_path) is None
