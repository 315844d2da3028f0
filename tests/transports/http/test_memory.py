"""However large a file is, fetching it takes the same little memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.transports.base import Policy, Request
from saco_data.transports.http import Http
from saco_data.transports.http.session import Session

# 200 MB are promised; a smaller file with a smaller limit says the same sooner.
LIMIT = 100 * 1024  # kilobytes
SIZE = 120_000_000 // 512 * 512
# Not by `getrusage`: that begins with the memory of the process which starts this one.
FETCH = """
import sys
from pathlib import Path
from saco_data.transports import archive
from saco_data.transports.base import Policy, Request
from saco_data.transports.http import Http
url, to = sys.argv[1], Path(sys.argv[2])
with Http(Policy()) as http:
    if url.endswith(".tar"):
        for member in archive.members(http.open(url), lambda name: True):
            member.save(to)
    else:
        (reply,) = http.fetch([Request("key", url, to)])
        assert reply.path == to, reply
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def peak(url: str, to: Path, size: int) -> int:
    """Peak memory in kilobytes of a fresh process that fetches a file of this size."""
    command = [sys.executable, "-c", FETCH, url, str(to)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert to.stat().st_size == size
    to.unlink()
    return int(said)


def holes(path: Path, begin: bytes = b"") -> Path:
    """A file that takes no room on the disk, and no memory while it is served."""
    path.write_bytes(begin)
    os.truncate(path, len(begin) + SIZE)
    return path


@pytest.mark.parametrize("ranges", [True, False])
def test_a_large_file_keeps_memory_flat(tmp_path: Path, ranges: bool) -> None:
    with FileServer({"/large": holes(tmp_path / "large")}, ranges=ranges) as server:
        assert peak(f"{server.url}/large", tmp_path / "got", SIZE) < LIMIT


def test_a_large_member_of_an_archive_keeps_memory_flat(tmp_path: Path) -> None:
    member = tarfile.TarInfo("large")
    # What is left of the file is the end of the archive.
    member.size = SIZE - 1024
    with FileServer({"/large.tar": holes(tmp_path / "tar", member.tobuf())}) as server:
        assert peak(f"{server.url}/large.tar", tmp_path / "got", member.size) < LIMIT


def test_room_for_files_in_memory_is_given_back_when_they_break_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Session] = []
    free: list[int] = []
    usual = Session.__init__

    def noted(self: Session, *arguments: Any, **options: Any) -> None:
        usual(self, *arguments, **options)
        sessions.append(self)
        free.append(self.memory)

    monkeypatch.setattr(Session, "__init__", noted)
    content = random.Random(1).randbytes(900_000)
    with FileServer({"/a": content}) as server, Http(Policy(backoff_seconds=0)) as http:
        server.faults = Faults(kinds=(Fault.SHORT_BODY,), probability=1, first=2)
        (reply,) = http.fetch([Request("a", f"{server.url}/a", tmp_path / "a")])
        (session,) = sessions
        assert reply.reason is Reason.OK and reply.attempts == 3
        assert [session.memory] == free
