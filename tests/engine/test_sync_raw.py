"""Raw files that a disk damages: another copy takes their place, also after a kill."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from tests.helpers.pipeline import items
from tests.helpers.stopping import die_at
from tests.helpers.tiny_subset import (
    NAMES,
    PICTURES,
    SUBSET,
    RemoteSubset,
    TinySubset,
    archive,
)

LOST = NAMES[2]


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_raw_file_makes_no_product(tmp_path: Path, how: str) -> None:
    """The product itself is lost: only its digest in the ledger shows the damage."""
    with FileServer({"/bdd100k.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/bdd100k.tar")
        small.prepare()
        raw = small.settings.subset(SUBSET).raw_folder / LOST
        content = bytearray(raw.read_bytes())
        content[300] ^= 0xFF
        times = raw.stat()
        damaged = bytes(content if how == "flipped" else content[:-100])

        def damage() -> None:
            raw.write_bytes(damaged)
            # Damage by the disk leaves size and time; another size looks like a file of the user.
            os.utime(raw, ns=(times.st_atime_ns, times.st_mtime_ns))
            small.product(LOST).unlink()

        damage()
        # Another copy is fetched in the same run.
        assert small.prepare().code == 0
        assert small.product(LOST).read_bytes() == PICTURES[LOST]
        assert raw.read_bytes() == (PICTURES[LOST] if how == "flipped" else damaged)
        if how == "cut":
            return
        times = raw.stat()
        damage()
        server.faults = Faults(kinds=(Fault.EXPIRED,), probability=1)
        assert small.prepare().code == 4
        assert raw.read_bytes() == damaged
    assert not small.product(LOST).exists()
    item = items(small.settings, SUBSET)[LOST]
    assert item.reason is Reason.WRONG_DIGEST
    assert "another copy could not be fetched" in item.detail


@pytest.mark.parametrize("point", range(16))
def test_a_damaged_raw_file_makes_no_product_after_a_kill(remote: RemoteSubset, point: int) -> None:
    """A run that is killed had set the raw file aside; it comes back, and is still damaged."""
    remote.prepare()
    product = remote.product(LOST)
    times, content = product.stat(), bytearray(product.read_bytes())
    content[300] ^= 0xFF
    product.write_bytes(content)  # and with it the raw file, of which it is a hard link
    os.utime(product, ns=(times.st_atime_ns, times.st_mtime_ns))
    child = os.fork()
    if child == 0:
        die_at(point)
        with contextlib.suppress(BaseException):
            remote.sync()
        os._exit(0)
    os.waitpid(child, 0)
    assert remote.sync(full=True).code == 0
    assert product.read_bytes() == PICTURES[LOST]


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_the_other_copy_of_a_users_file_is_replaced_when_it_rots(
    remote: RemoteSubset, how: str
) -> None:
    """The file of the user stays as it is, unusable; what was fetched beside it is ours."""
    raw = remote.settings.subset(SUBSET).raw_folder
    remote.prepare()
    (raw / LOST).write_bytes(b"the user's")
    remote.product(LOST).unlink()
    assert remote.prepare().code == 0
    for _ in range(2):
        product = remote.product(LOST)
        times, content = product.stat(), bytearray(product.read_bytes())
        content[300] ^= 0xFF
        product.write_bytes(content if how == "flipped" else content[:-100])
        os.utime(product, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert remote.sync(full=True).code == 0
        assert product.read_bytes() == PICTURES[LOST]
    assert (raw / LOST).read_bytes() == b"the user's"
