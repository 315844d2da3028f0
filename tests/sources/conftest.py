"""Fixtures for tests of sources."""

from __future__ import annotations

import pytest

from tests.helpers.pictures import noise_jpeg


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return noise_jpeg()
