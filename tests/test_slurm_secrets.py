"""Planted secrets under a real SLURM: Silver's files and SA-V's archives on nodes, in one run.

The sources refuse whoever lacks them. They are looked for in all that SLURM holds, in the state of
Dask's scheduler and nodes, in logs, files and objects, and in arguments and environment of all
processes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3.session
import psutil
import pytest
import yaml
from distributed import Client
from distributed.security import Security

from saco_data.config.settings import FILE_NAME
from saco_data.engine import published
from saco_data.sandbox.demo import SUBSETS
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.s3 import S3Server
from saco_data.storage.store import open_store
from tests.conftest import ROOT
from tests.helpers.bucket import BUCKET, PLACE
from tests.helpers.folders import config
from tests.helpers.proxy import PasswordProxy
from tests.helpers.secrets import MARK, ProcessList, find_marked, write_cookies
from tests.helpers.slurm import Slurm, own_slurm

TRAIN = "sa-v/train"
TLS_FILES = ("key.pem", "certificate.pem")
PAGES = ("status", "info/main/workers.html", "json/counts.json", "metrics", "health")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# What stands only in the arguments of tasks: of an archive, and of a file of DROID.
ARGUMENTS = (FILE_NAME, "recordings_MP4")
EGO4D = ("ego4d-consortium-sharing", "ego4d-university")


def dump(dask_scheduler: Any) -> bytes:
    """All that the scheduler knows, as it would be sent or shown; runs inside of it."""
    tasks = dask_scheduler.tasks.values()
    held = [[repr(task), str(task.key), *_as_bytes(task.run_spec)] for task in tasks]
    held += [[repr(each)] for each in dask_scheduler.transition_log]
    held += [[repr(each)] for each in (dask_scheduler.identity(), dask_scheduler.get_logs())]
    held += [_as_bytes(each) for each in dask_scheduler.worker_plugins.values()]
    return pickle.dumps(held)


def _as_bytes(value: Any) -> list[Any]:
    """A value in the forms that it may be shown or sent in."""
    forms: list[Any] = [repr(value)]
    with contextlib.suppress(Exception):
        forms.append(pickle.dumps(value))
    return [*forms, *getattr(value, "frames", [])]


@dataclass
class Watch:
    """What is looked at again and again while a run is at work. `marked`: where a mark was seen."""

    slurm: Slurm
    state: Path
    marked: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)

    def look(self) -> None:
        """Looks everywhere once; what has ended meanwhile is passed over."""
        for job in self.slurm("squeue", "-h", "-o", "%i").split():
            with contextlib.suppress(AssertionError):
                self._take("job", self.slurm("scontrol", "show", "job", job))
                script = self.slurm("scontrol", "write", "batch_script", job, "-")
                self._take("job script", script)
        for folder in (self.slurm.folder, self.state):
            self.marked.update(map(str, find_marked(folder)))
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                values = process.environ()
                # Of a node: all of its processes have this variable.
                if (
                    values.get("DASK_DISTRIBUTED__WORKER__HTTP__ROUTES")
                    and "SLURM_JOB_ID" in values
                ):
                    del values["HTTP_PROXY"]
                    self._take("environment of a node", repr(values))
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            self._ask_scheduler()

    def _ask_scheduler(self) -> None:
        """Connects with the key of the run, which is in files that only its user can read."""
        lines = [" ".join(each.cmdline()) for each in self._nodes()]
        found = [each for line in lines for each in re.findall(r"tls://[\d.]+:\d+", line)]
        if not found:
            return
        key, certificate = (str(self.state / "cluster" / "tls" / name) for name in TLS_FILES)
        security = Security(
            require_encryption=True,
            tls_ca_file=certificate,
            tls_client_cert=certificate,
            tls_client_key=key,
        )
        with Client(found[0], security=security, timeout=5) as client:
            state = client.run_on_scheduler(dump)
            self._take("scheduler", state.decode("latin-1"))
            # In keys, and in arguments, which are there to be read too.
            for part in ("files of droid", f"{TRAIN} sav_", *ARGUMENTS):
                self.seen[part] += state.count(part.encode())
            self._take("logs of nodes", repr(client.get_worker_logs()))
            known = client.scheduler_info(n_workers=-1)
            for address, each in ((known["address"], known), *known["workers"].items()):
                self._ask_pages(address, each["services"].get("dashboard"))

    def _nodes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if "dask_worker" in " ".join(process.cmdline()):
                    yield process

    def _ask_pages(self, address: str, port: int | None) -> None:
        for page in PAGES if port else ():
            url = f"http://{address.split('/')[2].partition(':')[0]}:{port}/{page}"
            try:
                with DIRECT.open(url, timeout=5) as answer:
                    self._take("page", answer.read().decode("latin-1"))
            except urllib.error.HTTPError as error:
                self.seen[f"page {error.code}"] += 1

    def _take(self, what: str, text: str) -> None:
        self.seen[what] += 1
        if MARK in text:
            at = text.index(MARK)
            self.marked.add(f"{what}: {text[max(0, at - 80) : at + 40]!r}")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with own_slurm(2) as made:
        yield made


def test_no_secret_is_anywhere_on_a_cluster(slurm: Slurm, tmp_path: Path) -> None:
    made = build(tmp_path / "made", [*SUBSETS, TRAIN])
    with (
        serve(tmp_path / "served", made.subsets) as mounts,
        PasswordProxy("me", f"{MARK}nodeproxy") as proxy,
    ):
        cdn: LinksCdn = mounts.servers["sa-v"]
        bucket: S3Server = mounts.servers["ego4d"]
        session = boto3.session.Session("x", "x", region_name="us-east-1")
        session.client("s3", endpoint_url=bucket.url).create_bucket(Bucket=BUCKET)
        bucket.gate.accounts = dict.fromkeys(EGO4D, f"AKIA{MARK}EGO4D")
        bucket.gate.accounts[BUCKET] = f"AKIA{MARK}BUCKET"
        cdn.secret = f"{MARK}link"
        links = Path(mounts.write("sa-v_links.txt", cdn.renew()))
        silver_links = Path(mounts.keys["sav_links_file"])
        silver_links.write_text(silver_links.read_text().replace("Signature=", f"Signature={MARK}"))
        # Nodes reach the archives through a proxy with a password, which is in no job script.
        private = tmp_path / "proxy.env"
        private.write_text(f"export HTTP_PROXY={proxy.url}\n")
        private.chmod(0o600)
        keys = yaml.safe_load(yaml.safe_dump(mounts.keys))
        keys["endpoints"] = {
            name: url.replace("://", f"://me:{MARK}{name}@", 1)
            for name, url in keys["endpoints"].items()
        }
        keys["collections"]["sa-v"] |= {"path": "sa-v", "media": "both"}
        keys |= {
            "aws_access_key_id": f"AKIA{MARK}EGO4D",
            "aws_secret_access_key": f"{MARK}ego4d",
            "hf_token": f"hf_{MARK}token",
            "roboflow_api_key": f"{MARK}roboflow",
            "cookies_path": write_cookies(tmp_path / "cookies.txt"),
        }
        nodes = {
            "nodes": 2,
            "minimum_nodes": 2,
            "cores": 2,
            "memory": "4GB",
            "walltime": "00:20:00",
        }
        settings = config(
            tmp_path,
            **{
                **keys,
                "path_annotations": str(made.annotations),
                "silver_path": PLACE,
                "state_path": "state",
                **{f"{name}_path": f"raw/{name}" for name in SUBSETS},
                "executor": {"slurm": {**nodes, "prologue": [f". {private}"]}},
            },
        )
        (tmp_path / FILE_NAME).chmod(0o600)
        environment = {
            **os.environ,
            **mounts.environment,
            "PYTHONPATH": str(ROOT),
            "SLURM_CONF": slurm.environment["SLURM_CONF"],
            "AWS_ACCESS_KEY_ID": f"AKIA{MARK}BUCKET",
            "AWS_SECRET_ACCESS_KEY": f"{MARK}bucket",
            "HF_TOKEN": f"hf_{MARK}variable",
        }
        for name in ("HTTPS_PROXY", "https_proxy"):
            environment[name] = environment[name].replace("://", f"://me:{MARK}proxy@")
        said = tmp_path / "said"

        def run() -> int:
            """The exit code of a run, which is watched as long as it lasts."""
            command = [sys.executable, "-m", "saco_data", "-v", "prepare", *SUBSETS, TRAIN]
            with said.open("ab") as log:
                process = subprocess.Popen(
                    command, cwd=tmp_path, env=environment, stdout=log, stderr=log
                )
                try:
                    while process.poll() is None:
                        watch.look()
                finally:
                    process.kill()
                    process.wait()
            return process.returncode

        watch = Watch(slurm, settings.state)
        with ProcessList() as processes:
            # The links expire in the middle: what is said of it must not name them.
            cdn.expire_after = 2
            mounts.server.bandwidth = 300_000
            assert run() == 4, said.read_text()
            links.write_bytes(cdn.renew())
            assert run() == 0, said.read_text()
        watch.look()
        assert processes.found == set() and watch.marked == set()
        # All of it was there to be seen, while both kinds of work were under way.
        places = ("job", "job script", "environment of a node", "scheduler", "logs of nodes")
        tasks = ("files of droid", f"{TRAIN} sav_", *ARGUMENTS)
        assert not [what for what in (*places, *tasks, "page 404") if not watch.seen[what]]
        # Nodes needed link and password: all requests for archives went through the proxy.
        asked = {name: count for name, count in mounts.server.requests.items() if "/links/" in name}
        forwarded = {f"/{name}": count for name, count in proxy.requests.items()}
        assert asked and {name: forwarded.get(name) for name in asked} == asked
        assert not proxy.refused
        for url, code in ((f"{mounts.server.url}/links/sav_000.tar?oh=2", 403), (proxy.url, 407)):
            with pytest.raises(urllib.error.HTTPError, match=str(code)):
                DIRECT.open(re.sub("//me:.*@", "//", url))
        secret = {tmp_path / FILE_NAME, links, silver_links, private, tmp_path / "cookies.txt"}
        assert set(find_marked(tmp_path)) == secret
        assert not list(find_marked(slurm.folder))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            store = open_store(PLACE)
            names = [name for name, _ in store.list()]
            assert len(names) > 80 and any(name.startswith(".saco/inventory/") for name in names)
            assert not [name for name in names if MARK.encode() in store.read(name)]
            assert published.read_status(store, SUBSETS).complete
