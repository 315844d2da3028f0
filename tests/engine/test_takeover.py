"""A folder that an older version prepared is taken over as it is.

`prepared_by_c71adc3.tar.xz` holds a complete miniature Silver that commit c71adc3 prepared in
/srv/saco-demo, and what its `saco status --json` printed then. Its web sources were at names ending
in `.invalid`, reached through a proxy; its local archives are in `raw`.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from saco_data.sandbox.http_server import Answer, FileServer
from tests.conftest import Saco

PACKED = Path(__file__).parents[1] / "data" / "prepared_by_c71adc3.tar.xz"
OLD_FOLDER = "/srv/saco-demo"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the folder with its original times, at another path."""
    with tarfile.open(PACKED) as archive:
        archive.extractall(tmp_path, filter="data")
        for member in reversed(archive.getmembers()):
            # tarfile rounds times; the ledger compares nanoseconds.
            nanoseconds = int(Decimal(member.pax_headers.get("mtime", member.mtime)) * 10**9)
            os.utime(tmp_path / member.name, ns=(nanoseconds, nanoseconds))
    folder = tmp_path / "prepared"
    with sqlite3.connect(folder / "data" / "silver" / ".saco" / "ledger.sqlite") as ledger:
        for table, column in (("subsets", "facts"), ("texts", "text"), ("items", "detail")):
            change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            ledger.execute(change, (OLD_FOLDER, str(folder)))
    ledger.close()
    return folder


@pytest.fixture
def broken(server: FileServer) -> FileServer:
    """A server that counts requests and answers each of them with status 500."""
    server.route("", lambda query: Answer(b"", 500))
    return server


def environment(server: FileServer) -> dict[str, str]:
    """Variables that send all requests of every client to one server."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "AWS_ENDPOINT_URL")
    result = {key: server.url for name in names for key in (name, name.lower())}
    return {**result, "NO_PROXY": "", "no_proxy": ""}


def pictures(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """The products and raw files by name: content, modification time, inode."""
    names = [path for path in (folder / "data").rglob("*") if path.suffix in (".jpg", ".mp4")]
    stats = {path: path.stat() for path in names}
    return {
        str(path.relative_to(folder)): (path.read_bytes(), stat.st_mtime_ns, stat.st_ino)
        for path, stat in stats.items()
    }


def leaves(content: Mapping[str, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value in nested mappings with the keys that lead to it."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, *above, key)
        else:
            yield (*above, key), value


@pytest.mark.parametrize("with_times", [True, False])
def test_an_older_folder_is_taken_over(
    folder: Path, broken: FileServer, saco: Saco, with_times: bool
) -> None:
    if not with_times:
        # A copy without times: annotations and archives look new.
        for path in folder.rglob("*"):
            os.utime(path)
    before = pictures(folder)
    assert len([name for name in before if "silver/images" in name]) == 66
    for _ in range(2):
        done = saco("prepare", cwd=folder, **environment(broken))
        assert done.returncode == 0, done.stderr
        assert list(broken.seen) == [], done.stderr
        assert pictures(folder) == before
    status = saco("status", "--json", cwd=folder)
    assert status.returncode == 0, status.stderr
    found = dict(leaves(json.loads(status.stdout)))
    old = dict(leaves(json.loads((folder / "status.json").read_text())))
    assert {key: found.get(key) for key in old} == old


def test_the_counting_server_is_reached(folder: Path, broken: FileServer, saco: Saco) -> None:
    """Without prepared files each client asks the server: the test above would see a request."""
    for subset in ("nga", "ego4d"):
        shutil.rmtree(folder / "data" / subset)
        shutil.rmtree(folder / "data" / "silver" / "images" / subset)
        done = saco("prepare", subset, cwd=folder, **environment(broken))
        assert done.returncode != 0
        assert broken.seen, done.stderr
        broken.seen.clear()
