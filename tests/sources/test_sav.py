"""SA-V's links file: finding the link, and the errors without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.reasons import State
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.sources.sav import find_link
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, prepare, states

TAR = "videos_fps_6.tar"


def links(folder: Path, *rows: str) -> Path:
    path = folder / "links.txt"
    path.write_text("\n".join(["file_name\tcdn_link", *rows]) + "\n")
    return path


def test_the_link_is_found_among_the_others(tmp_path: Path) -> None:
    path = links(tmp_path, "sav_000.tar\thttps://x/a", f"{TAR}\thttps://x/b?sig=1", "md5\tabc")
    assert find_link(path, TAR) == "https://x/b?sig=1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"file_name\tcdn_link\n",
        b"file_name\tcdn_link\nvideos_fps_6.tar\t\n",
        b"file_name\tcdn_link\nvideos_fps_6.tar\tfile:///etc/passwd\n",
    ],
)
def test_a_file_without_the_link_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "links.txt").write_bytes(content)
    with pytest.raises(Blocked, match=r"links\.txt.*sav_links_file"):
        find_link(tmp_path / "links.txt", TAR)


def test_the_links_file_leads_to_the_frames(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    with FileServer({f"/{TAR}": pack_tar(subset.raw)}) as server:
        links(tmp_path, f"{TAR}\t{server.url}/{TAR}?Expires=1&Signature=secret")
        settings = config(tmp_path, sav_links_file="links.txt")
        notes = Notes()
        assert prepare(settings, "sav", notes=notes) == 0
    found = list(states(settings, "sav").values())
    assert found.count(State.DONE) == 9 and found.count(State.GONE) == 3
    state = (settings.state / "ledger.sqlite").read_bytes()
    assert b"Signature" not in state and b"secret" not in state


def test_a_gone_video_stays_gone_although_the_link_changes(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    with FileServer({f"/{TAR}": pack_tar(subset.raw)}) as server:
        for signature in "ab":
            links(tmp_path, f"{TAR}\t{server.url}/{TAR}?Signature={signature}")
            settings = config(tmp_path, sav_links_file="links.txt")
            assert prepare(settings, "sav") == 0
        asked = server.requests.total()
        assert prepare(settings, "sav") == 0
        assert server.requests.total() == asked


LINK = f"https://cdn.example.org/{TAR}?oe=70000000"
FORMS = {
    "tabs": f"file_name\tcdn_link\n{TAR}\t{LINK}\n".encode(),
    "no header": f"{TAR}\t{LINK}\n".encode(),
    "commas": f"file_name,cdn_link\n{TAR},{LINK}\n".encode(),
    "commas and quotes": f'"file_name","cdn_link"\n"{TAR}","{LINK}"\n'.encode(),
    "semicolons": f"file_name;cdn_link\r\n{TAR};{LINK}\r\n".encode(),
    "spaces": f"file_name    cdn_link\n{TAR}    {LINK}\n".encode(),
    "utf-16": f"file_name\tcdn_link\n{TAR}\t{LINK}\n".encode("utf-16"),
    "utf-16, other end first": b"\xfe\xff" + f"{TAR}\t{LINK}\n".encode("utf-16-be"),
    "mark": f"file_name\tcdn_link\n{TAR}\t{LINK}\n".encode("utf-8-sig"),
    "link first": f"{LINK}\t{TAR}\n".encode(),
    "a third column": f"file_name,cdn_link,md5\nsav_000.tar,https://x/a,1\n{TAR},{LINK},2\n".encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_the_eye_sees_is_found(tmp_path: Path, form: str) -> None:
    (tmp_path / "links.txt").write_bytes(FORMS[form])
    assert find_link(tmp_path / "links.txt", TAR) == LINK


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><p>log in", "web page"),
        (
            b"file_name\tcdn_link\nsa_000000.tar\thttps://x/a\n",
            "sa_000000.tar, so it is the file of",
        ),
        (b"file_name\tcdn_link\nsav_000.tar\thttps://x/a\n", "it has those of sav_000.tar"),
        (b"hello\n", "no line with a file name, a tab and a link"),
        (b"\x00\xff\xfa", "not text"),
    ],
)
def test_another_file_is_told_as_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "links.txt").write_bytes(content)
    with pytest.raises(Blocked, match=said) as caught:
        find_link(tmp_path / "links.txt", TAR)
    assert "sav_links_file" in caught.value.remedy
