"""Silver's miniature on a cluster is that of one machine, byte for byte, whatever is lost."""

from __future__ import annotations

import pickle
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Client

from saco_data.sandbox.demo import SUBSETS, serve_miniature
from tests.helpers.cluster import nannies, own_cluster, worker_of
from tests.helpers.miniatures import again, assert_equal
from tests.helpers.pipeline import prepare
from tests.helpers.waiting import wait_until


def test_silver_on_a_cluster_is_that_of_one_machine_though_a_node_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_miniature(tmp_path) as here:
        assert prepare(here, *SUBSETS) == 0
        there = again(tmp_path, "there", executor="dask")
        killed = []

        def kill_worker() -> None:
            products = there.silver / "images"
            wait_until(lambda: any(products.rglob("*.jpg")))
            for nanny in nannies():
                worker = worker_of(nanny)
                worker.send_signal(signal.SIGKILL)
                killed.append(worker.pid)

        killer = threading.Thread(target=kill_worker)
        killer.start()
        assert prepare(there, *SUBSETS) == 0
        killer.join()
        assert killed
        assert_equal(here, there)


MARK = "MARKER"


def test_no_secret_reaches_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in what is sent to the scheduler, nor in a log of scheduler or node."""
    sent: list[bytes] = []
    usual = Client.submit

    def submit(self: Client, function: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(pickle.dumps((function, arguments, options)))
        sent.extend(each.read_bytes() for each in arguments if isinstance(each, Path))
        return usual(self, function, *arguments, **options)

    monkeypatch.setattr(Client, "submit", submit)
    secrets = {
        "roboflow_api_key": f"{MARK}roboflow",
        "hf_token": f"hf_{MARK}token",
        "aws_access_key_id": f"{MARK}id",
        "aws_secret_access_key": f"{MARK}key",
    }
    with serve_miniature(tmp_path), own_cluster(tmp_path / "dask", {}) as address:
        content = yaml.safe_load((tmp_path / "CONFIG_FRAMES.yaml").read_text())
        root = content["endpoints"]["nga_iiif"].split("/", 3)
        server = "/".join(root[:3])
        links = tmp_path / "links.txt"
        links.write_text(
            "file_name\tcdn_link\n"
            f"videos_fps_6.tar\t{server}/cdn/videos_fps_6.tar?oh={MARK}links&oe=70000000\n"
        )
        endpoints = {
            name: url.replace("://", f"://me:{MARK}{name}@", 1)
            for name, url in content["endpoints"].items()
        }
        own = again(
            tmp_path,
            "own",
            executor=address,
            endpoints=endpoints,
            sav_links_file=str(links),
            **secrets,
        )
        # The keys above are not those of Ego4D's bucket.
        assert prepare(own, *(name for name in SUBSETS if name != "ego4d")) in (0, 3, 4)
        log = (tmp_path / "dask" / "log").read_bytes()
    assert len(sent) > 20 and log
    assert not [each for each in sent if MARK.encode() in each]
    assert MARK.encode() not in log
    for path in (own.state / "cluster").rglob("*"):
        assert path.is_dir() or MARK.encode() not in path.read_bytes(), path
