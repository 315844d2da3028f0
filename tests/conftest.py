"""Fixtures for all tests: real inputs if present, servers, a fresh user, and the saco command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from saco_data.dataset import remote
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.s3 import S3Server
from tests.helpers.bucket import BUCKET, GOOGLE_PLACE, PLACE
from tests.helpers.gcs_bucket import GcsBucketServer

ROOT = Path(__file__).parents[1]

# Two noisy cores: how long an example takes says nothing.
settings.register_profile("saco", deadline=None)
settings.load_profile("saco")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs; tests that need it skip, loudly, where it is absent."""
    folder = Path(os.environ.get("SACO_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        message = f"no real inputs in {folder}: set SACO_SHARED_DATA to run these tests"
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    return folder


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A file server on loopback that is still empty."""
    with FileServer() as running:
        yield running


@pytest.fixture
def bucket_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server with an empty bucket; the environment leads to it and has keys that open it."""
    with S3Server({BUCKET: {}}) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running
    # What was read of this bucket must not answer for that of the next test.
    remote._store.cache_clear()
    remote._inventory.cache_clear()


@pytest.fixture
def google_server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GcsBucketServer]:
    """A Google Cloud Storage with an empty bucket; as `bucket_server`."""
    with GcsBucketServer(tmp_path_factory.mktemp("google"), BUCKET) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running
    remote._store.cache_clear()
    remote._inventory.cache_clear()


@pytest.fixture(params=["folder", "bucket", "google"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a copy can be published: a folder, and then a bucket of both kinds."""
    if request.param == "folder":
        return str(tmp_path / "there")
    request.getfixturevalue({"bucket": "bucket_server", "google": "google_server"}[request.param])
    return PLACE if request.param == "bucket" else GOOGLE_PLACE


@pytest.fixture
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without keys and tokens; returns the home folder."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HF_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    folder = Path(tempfile.mkdtemp(dir=shm))
    yield folder
    shutil.rmtree(folder)


Saco = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def saco() -> Saco:
    """Runs the installed command as a user does: `saco("status", "--json", cwd=folder)`."""

    def run(
        *arguments: str | Path, cwd: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("saco"), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long campaigns have no time-out: they print a seed and end by themselves."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(0))
