"""A small video, and a YouTube whose production addresses lead to the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sandbox.youtube import Fault, Video, YouTube
from tests.transports.youtube.downloads import (
    Start,
)


@pytest.fixture(scope="session")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of noise, some 260 kB."""
    path = tmp_path_factory.mktemp("media") / "a.mp4"
    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for _ in range(30):
            picture = noise.integers(0, 255, (90, 160, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a YouTube whose production addresses lead to the sandbox."""
    running: list[ConnectProxy] = []

    def begin(catalogue: dict[str, Path | Video | Fault], **options: object) -> object:
        site = YouTube(catalogue, **options)  # type: ignore[arg-type]
        proxy = ConnectProxy(site.handlers()).__enter__()
        running.append(proxy)
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        return site, proxy

    yield begin  # type: ignore[misc]
    for proxy in running:
        proxy.__exit__(None, None, None)
