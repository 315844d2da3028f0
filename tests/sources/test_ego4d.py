"""Ego4D: the clip manifest, and clips through boto3 and through the official CLI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.config import settings as config
from saco_data.model.errors import Blocked, ConfigError
from saco_data.model.items import Item
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sandbox.proxy import ConnectProxy, forward
from saco_data.sandbox.s3 import S3Server
from saco_data.sources.base import Context
from saco_data.sources.ego4d import Ego4dSource
from saco_data.sources.ego4d_manifest import parse

SHARING = "ego4d-consortium-sharing"
MANIFEST = "public/v1/clips/manifest.csv"
CLIPS = {f"clip-{number}": os.urandom(40_000 + number) for number in range(4)}
ROWS = "".join(f"{uid},s3://ego4d-unict-milan/{uid}.mp4,mp4\n" for uid in [*CLIPS, "lost"])
CSV = f"file_uid,canonical_s3_location,type\n{ROWS}no-place,,mp4\nodd,http://x/y,mp4\n".encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3Server]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    objects = {f"{uid}.mp4": clip for uid, clip in CLIPS.items()}
    with S3Server({SHARING: {MANIFEST: CSV}, "ego4d-unict-milan": objects}) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        yield s3


def source(folder: Path, more: str = "") -> Ego4dSource:
    return Ego4dSource(
        config.parse(f"ego4d_path: e\n{more}", folder / "CONFIG_FRAMES.yaml").subset("ego4d")
    )


def run(fetcher: Ego4dSource, *uids: str) -> dict[str, Arrival | Outcome]:
    assets = [Asset(f"{uid}.mp4", ()) for uid in uids]
    found: dict[str, Arrival | Outcome] = {}
    for item in fetcher.fetch(assets, Context()):
        key = item.asset.key if isinstance(item, Arrival) else item.key
        assert key not in found
        found[key.removesuffix(".mp4")] = item
    return found


def reasons(found: dict[str, Arrival | Outcome]) -> dict[str, Reason]:
    return {k: item.reason for k, item in found.items() if isinstance(item, Outcome)}


@pytest.mark.parametrize("transport", ["boto3", "ego4d-cli"])
def test_every_kind_of_clip_has_its_own_reason(
    server: S3Server, tmp_path: Path, transport: str
) -> None:
    server.gate.keys["ego4d-unict-milan/clip-3.mp4"] = "AccessDenied"
    fetcher = source(tmp_path, f"transport: {{ego4d: {transport}}}")
    found = run(fetcher, *CLIPS, "lost", "nowhere", "no-place", "odd", "../../x")
    assert reasons(found) == {
        "clip-3": Reason.UNAUTHORIZED,
        "lost": Reason.OBJECT_MISSING,
        "nowhere": Reason.NOT_IN_CATALOGUE,
        "no-place": Reason.HTTP_ERROR,
        "odd": Reason.HTTP_ERROR,
        "../../x": Reason.UNSAFE_NAME,
    }
    for uid in ("clip-0", "clip-1", "clip-2"):
        arrival = found[uid]
        assert isinstance(arrival, Arrival)
        assert arrival.raw == tmp_path / f"e/downloaded_videos/v1/clips/{uid}.mp4"
        assert arrival.raw.read_bytes() == CLIPS[uid]
        assert arrival.owned
        assert arrival.origin == f"s3://ego4d-unict-milan/{uid}.mp4"
        assert {"etag", "version_id"} <= arrival.facts.keys()
    assert not list(tmp_path.rglob(".ego4d-cli*"))


def test_a_clip_on_disk_needs_no_request(server: S3Server, tmp_path: Path) -> None:
    fetcher = source(tmp_path)
    run(fetcher, "clip-0", "clip-1")
    server.requests.clear()
    known = {"clip-0.mp4": {"etag": "x"}}
    (arrival,) = fetcher.fetch([Asset("clip-0.mp4", ())], Context(known=known))
    assert isinstance(arrival, Arrival)
    assert arrival.facts == {"etag": "x"}
    assert not server.requests


def test_the_manifest_is_fetched_only_when_it_changed(server: S3Server, tmp_path: Path) -> None:
    fetcher = source(tmp_path)
    run(fetcher, "clip-0")
    sent = server.sent[f"{SHARING}/{MANIFEST}"]
    run(fetcher, "clip-1")
    assert server.sent[f"{SHARING}/{MANIFEST}"] == sent
    # A file that was changed, or written by the official CLI, is not used.
    (tmp_path / "e/downloaded_videos/v1/clips/manifest.csv").write_text("file_uid,s3_path\n")
    assert not reasons(run(fetcher, "clip-2"))
    server.put(SHARING, MANIFEST, b"file_uid,s3_path\nclip-3,s3://ego4d-unict-milan/clip-0.mp4\n")
    found = run(fetcher, "clip-3", "lost")
    assert reasons(found) == {"lost": Reason.NOT_IN_CATALOGUE}


def known(found: dict[str, Arrival | Outcome]) -> dict[str, Item]:
    """The ledger's items for these clips."""
    return {
        uid: Item("ego4d", uid, True, Reason.OK, "", each.origin, 1, None, each.facts, 0, 0, 0, 1)
        for uid, each in found.items()
    }


def test_a_clip_with_a_new_version_is_found(server: S3Server, tmp_path: Path) -> None:
    fetcher = source(tmp_path)
    before = known(run(fetcher, *CLIPS))
    assert list(fetcher.find_changed(before)) == []
    server.put("ego4d-unict-milan", "clip-1.mp4", b"another version")
    server.put("ego4d-unict-milan", "clip-2.mp4", CLIPS["clip-2"])
    server.delete("ego4d-unict-milan", "clip-0.mp4")
    server.gate.keys["ego4d-unict-milan/clip-3.mp4"] = "AccessDenied"
    assert list(fetcher.find_changed(before)) == ["clip-1"]


@pytest.mark.parametrize("trouble", ["no keys", "expired", "sick", "no manifest"])
def test_clips_without_a_comparable_etag_count_as_unchanged(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    before = known(run(source(tmp_path), *CLIPS))
    server.put("ego4d-unict-milan", "clip-1.mp4", b"another version")
    more = ""
    match trouble:
        case "no keys":
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        case "expired" | "sick":
            server.gate.all = "ExpiredToken" if trouble == "expired" else "InternalError"
        case _:
            more = "endpoints: {ego4d_manifest: 'https://a/b'}"
    assert list(source(tmp_path, more).find_changed(before)) == []


@pytest.mark.parametrize("place", ["https://me:secret@a/manifest.csv", "s3://B"])
def test_a_manifest_that_is_not_on_s3_is_named_by_its_key(tmp_path: Path, place: str) -> None:
    with pytest.raises(Blocked, match="endpoints: ego4d_manifest") as caught:
        run(source(tmp_path, f"endpoints: {{ego4d_manifest: '{place}'}}"), "clip-0")
    assert "secret" not in str(caught.value)


def test_a_manifest_that_is_no_address_is_refused_with_the_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is neither a URL nor a file"):
        source(tmp_path, "endpoints: {ego4d_manifest: manifest.csv}")


@pytest.mark.parametrize("transport", ["boto3", "ego4d-cli"])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ExpiredToken", Reason.CREDENTIALS_EXPIRED),
        ("AccessDenied", Reason.CREDENTIALS_EXPIRED),
        ("SlowDown", Reason.THROTTLED),
    ],
)
def test_keys_and_throttles_block_the_source_and_no_clip(
    server: S3Server, tmp_path: Path, transport: str, code: str, reason: Reason
) -> None:
    server.gate.all = code
    with pytest.raises(Blocked) as caught:
        run(source(tmp_path, f"transport: {{ego4d: {transport}}}"), *CLIPS)
    assert caught.value.reason is reason
    if reason is Reason.CREDENTIALS_EXPIRED:
        assert "14 days" in caught.value.remedy
        assert "aws configure" in caught.value.remedy


def test_keys_that_expire_between_manifest_and_clips(server: S3Server, tmp_path: Path) -> None:
    server.gate.keys = {f"ego4d-unict-milan/{uid}.mp4": "ExpiredToken" for uid in CLIPS}
    with pytest.raises(Blocked) as caught:
        run(source(tmp_path), *CLIPS)
    assert caught.value.reason is Reason.CREDENTIALS_EXPIRED


@pytest.mark.parametrize(
    "content", [b"", b"<html>not you</html>", b"file_uid,type\na,b\n", b"\xff"]
)
def test_a_malformed_manifest_makes_no_clip_gone(
    server: S3Server, tmp_path: Path, content: bytes
) -> None:
    server.put(SHARING, MANIFEST, content)
    with pytest.raises(Blocked) as caught:
        run(source(tmp_path), "clip-0")
    assert caught.value.reason is Reason.RAW_MISSING


def test_a_missing_manifest_makes_no_clip_gone(server: S3Server, tmp_path: Path) -> None:
    server.delete(SHARING, MANIFEST)
    with pytest.raises(Blocked, match="clip manifest cannot be used"):
        run(source(tmp_path), "clip-0")


def test_a_failing_server_counts_no_attempt_for_the_clips(server: S3Server, tmp_path: Path) -> None:
    server.gate.all = "InternalError"
    found = run(source(tmp_path), "clip-0", "clip-1")
    assert reasons(found) == dict.fromkeys(("clip-0", "clip-1"), Reason.SERVER_ERROR)
    assert all(isinstance(item, Outcome) and not item.tried for item in found.values())


def test_removal_bounds_the_clips_fetched_ahead(server: S3Server, tmp_path: Path) -> None:
    fetcher = source(tmp_path, "remove_downloaded_videos_ego4d: true")
    most = 0
    for item in fetcher.fetch([Asset(f"{uid}.mp4", ()) for uid in CLIPS], Context()):
        assert isinstance(item, Arrival)
        assert isinstance(item.raw, Path)
        most = max(most, len(list(item.raw.parent.glob("*.mp4"))))
        item.raw.unlink()
    assert most <= 2


def test_the_production_address(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with ConnectProxy({"*.amazonaws.com": forward(server.url)}) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        for uid, transport in (("clip-0", "boto3"), ("clip-1", "ego4d-cli")):
            found = run(source(tmp_path, f"transport: {{ego4d: {transport}}}"), uid)
            assert isinstance(found[uid], Arrival)
        assert {request.host for request in proxy.requests} >= {f"{SHARING}.s3.amazonaws.com"}


@pytest.mark.parametrize("uid", ["file_uid", "video_uid", "exported_clip_uid"])
@pytest.mark.parametrize("place", ["canonical_s3_location", "s3_path"])
def test_all_known_column_names_are_read(uid: str, place: str) -> None:
    assert parse(f"x,{uid},{place}\n1,a,s3://b/c\n".encode()) == {"a": "s3://b/c"}


def test_the_parent_of_several_clips_is_not_a_clip() -> None:
    content = b"video_uid,exported_clip_uid,s3_path\np,a,s3://b/a\np,c,s3://b/c\n"
    assert parse(content) == {"a": "s3://b/a", "c": "s3://b/c"}


@given(st.binary() | st.text().map(lambda text: f"file_uid,s3_path\n{text}".encode()))
def test_any_content_gives_addresses_or_a_value_error(content: bytes) -> None:
    try:
        catalogue = parse(content)
    except ValueError:
        return
    assert all(isinstance(uid, str) and isinstance(url, str) for uid, url in catalogue.items())
