"""A bucket on loopback for prepared files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saco_data.sandbox.s3 import S3Server

BUCKET = "prepared"
PLACE = f"s3://{BUCKET}/silver"


@pytest.fixture
def bucket_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server with an empty bucket; the environment leads to it and has keys that open it."""
    with S3Server({BUCKET: {}}) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
