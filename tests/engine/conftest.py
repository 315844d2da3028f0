"""A subset whose archive is on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.sandbox.http_server import FileServer
from tests.helpers.tiny_subset import RemoteSubset


@pytest.fixture
def remote(tmp_path: Path, server: FileServer) -> RemoteSubset:
    return RemoteSubset(tmp_path, server)
