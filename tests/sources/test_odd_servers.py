"""Archives on servers that name another version each time, or ignore what is asked for."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.http_server.server import Answer
from saco_data.sandbox.packing import pack_tar, pack_tar_gz, pack_zip
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one, copied_products
from tests.helpers.pipeline import prepare, products

PACK: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": pack_zip,
    "tar": pack_tar,
    "tar.gz": pack_tar_gz,
}
NAMES = ("geode", "bdd100k", "food_rec")


class Nodes(FileServer):
    """A mirror whose nodes give different ETags for one size and date."""

    count = itertools.count()

    def _validators(self, path: str, body: bytes | Path) -> tuple[str, float]:
        _, modified = super()._validators(path, body)
        return f'"{next(self.count)}"', modified


class IgnoresCondition(FileServer):
    """Sends everything where a request has If-Range."""

    async def _send(self, request: Any, answer: Answer, fault: Any) -> Any:
        self.ranges = "If-Range" not in request.headers
        return await super()._send(request, answer, fault)


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [Nodes, IgnoresCondition])
def test_the_archive_arrives(tmp_path: Path, name: str, form: str, kind: type[FileServer]) -> None:
    subset = build_one(tmp_path, name)
    # Wanted members far apart, so that reading jumps.
    raw: dict[str, bytes] = {}
    for number, (key, content) in enumerate(subset.raw.items()):
        raw[key] = content
        raw[f"other/{number}.bin"] = bytes(range(256)) * 8192
    content = PACK[form](raw)
    with kind({"/raw": content}) as server:
        settings = config(tmp_path, **{f"{name}_raw": f"{server.url}/raw"})
        assert prepare(settings, name) == 0
        assert products(settings, name) == copied_products(subset)
        # Never again from byte 0 at each jump.
        assert server.bytes_sent < 4 * len(content) + (8 << 20)


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize("name", NAMES)
def test_gzip_as_content_encoding(tmp_path: Path, name: str, form: str) -> None:
    subset = build_one(tmp_path, name)
    packed = gzip.compress(PACK[form](subset.raw))
    with FileServer() as server:
        server.route("/raw", lambda _: Answer(packed, headers={"Content-Encoding": "gzip"}))
        settings = config(tmp_path, **{f"{name}_raw": f"{server.url}/raw"})
        assert prepare(settings, name) == 0
    assert products(settings, name) == copied_products(subset)
