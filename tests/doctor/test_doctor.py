"""`saco doctor`: each finding is "ok" or says what to do, and no secret is shown."""

from __future__ import annotations

import json
import os
import resource
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from saco_data import doctor
from saco_data.config.settings import Settings
from saco_data.doctor import Verdict, machine, network
from saco_data.engine.subset import bind
from saco_data.model.finding import Finding
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.packing import pack_tar, pack_zip
from saco_data.sources.diagnosis import age_days
from tests.conftest import Saco
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import prepare

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL


pytestmark = pytest.mark.usefixtures("no_credentials")


def list_findings(settings: Settings, *subsets: str, online: bool = False) -> list[Finding]:
    return list(doctor.examine(settings, subsets, online=online))


def find_finding(settings: Settings, subset: str, name: str | None = None) -> Finding:
    """The only finding with this name for a subset."""
    (finding,) = [each for each in list_findings(settings, subset) if each.name == (name or subset)]
    return finding


def test_every_fault_says_what_to_do(tmp_path: Path) -> None:
    settings = config(tmp_path)
    findings = list_findings(settings, "geode", "sav", "ego4d", "yt1b", "nga")
    assert all(each.remedy for each in findings if each.verdict is not OK)
    verdicts = {each.name: each.verdict for each in findings}
    assert verdicts["config"] is OK and verdicts["nga"] is OK
    assert verdicts["geode"] is verdicts["sav"] is verdicts["ego4d"] is FAIL
    assert verdicts["yt1b"] is WARN, "it may do without cookies"
    assert verdicts["annotations"] is FAIL


def test_annotations_are_reported_as_present_to_fetch_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate(tmp_path, "nga", document())
    annotate(tmp_path, "droid", "")
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    findings = list_findings(config(tmp_path), "nga", "droid", "fathomnet")
    said = [(each.verdict, each.what) for each in findings if each.name == "annotations"]
    assert (OK, "at hand for nga") in said
    assert (OK, "`saco prepare` will fetch those of fathomnet") in said
    assert any(verdict is FAIL and "droid" in what and "empty" in what for verdict, what in said)


@pytest.mark.parametrize(
    ("token", "verdict"), [("hf_" + "a" * 34, OK), ("hf_short", WARN), ("my token", WARN)]
)
def test_a_token_is_checked_and_never_shown(tmp_path: Path, token: str, verdict: Verdict) -> None:
    findings = list_findings(config(tmp_path, hf_token=token), "nga")
    assert [each.verdict for each in findings if each.name == "hf_token"] == [verdict]
    assert token not in str(findings)


def test_a_login_of_the_hub_counts_as_a_token(tmp_path: Path, no_credentials: Path) -> None:
    kept = no_credentials / ".cache" / "huggingface" / "token"
    kept.parent.mkdir(parents=True)
    kept.write_text("hf_" + "a" * 34)
    assert find_finding(config(tmp_path), "nga", "hf_token").verdict is OK


@pytest.mark.parametrize(
    ("query", "hours", "verdict", "words"),
    [
        ("?Expires={:d}&Signature=secret", -1, FAIL, "expired"),
        ("?Expires={:d}&Signature=secret", 1, WARN, "expires"),
        ("?Expires={:d}&Signature=secret", 240, OK, "good until"),
        ("?oh=secret&oe={:X}", -1, FAIL, "expired"),
        ("?token=secret", 0, OK, "from cdn.example"),
    ],
)
def test_the_expiry_of_a_link_is_reported(
    tmp_path: Path, query: str, hours: int, verdict: Verdict, words: str
) -> None:
    query = query.format(int(time.time()) + hours * 3600)
    link = f"https://cdn.example/videos_fps_6.tar{query}"
    links = tmp_path / "links.txt"
    links.write_text(f"file_name\tcdn_link\nvideos_fps_6.tar\t{link}\n")
    finding = find_finding(config(tmp_path, sav_links_file="links.txt"), "sav")
    assert finding.verdict is verdict and words in finding.what
    assert "secret" not in str(finding)


def test_a_links_file_without_the_link_is_reported(tmp_path: Path) -> None:
    (tmp_path / "links.txt").write_text("file_name\tcdn_link\nsav_000.tar\thttps://a/b\n")
    finding = find_finding(config(tmp_path, sav_links_file="links.txt"), "sav")
    assert finding.verdict is FAIL and "no link for videos_fps_6.tar" in finding.what


def test_local_media_are_checked(tmp_path: Path) -> None:
    (tmp_path / "good.zip").write_bytes(pack_zip({"images/a.jpg": b"x"}))
    (tmp_path / "good.tar").write_bytes(pack_tar({"images/a.jpg": b"x"}))
    (tmp_path / "page.zip").write_text("<!DOCTYPE html><html>Please log in</html>" * 40)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "void").mkdir()
    verdicts = {
        name: find_finding(config(tmp_path, geode_raw=name), "geode").verdict
        for name in ("good.zip", "good.tar", "page.zip", "full", "void", "none.zip")
    }
    assert verdicts == {
        "good.zip": OK,
        "good.tar": OK,
        "page.zip": FAIL,
        "full": OK,
        "void": FAIL,
        "none.zip": FAIL,
    }


def write_keys(home: Path, access: str, secret: str, days: float) -> None:
    """Writes the file of `aws configure`, with an age in days."""
    path = home / ".aws" / "credentials"
    path.parent.mkdir()
    path.write_text(f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
    os.utime(path, (time.time() - days * 86400,) * 2)


@pytest.mark.parametrize(
    ("access", "secret", "days", "verdict", "words"),
    [
        (ID, SECRET, 3, OK, "written 3 days ago"),
        (ID, SECRET, 20, WARN, "written 20 days ago: Ego4D's last 14"),
        ("mistaken", SECRET, 0, WARN, "do not look like keys"),
    ],
)
def test_the_age_of_the_keys_is_reported(
    tmp_path: Path,
    no_credentials: Path,
    access: str,
    secret: str,
    days: float,
    verdict: Verdict,
    words: str,
) -> None:
    write_keys(no_credentials, access, secret, days)
    finding = find_finding(config(tmp_path), "ego4d")
    assert finding.verdict is verdict and words in finding.what
    assert access not in str(finding) and secret not in str(finding)


def test_keys_of_environment_and_config_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"aws_access_key_id": ID, "aws_secret_access_key": SECRET}
    assert "the config" in find_finding(config(tmp_path, **given), "ego4d").what
    assert find_finding(config(tmp_path, aws_access_key_id=ID), "ego4d").verdict is FAIL
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert "the environment" in find_finding(config(tmp_path), "ego4d").what


@pytest.mark.parametrize(("expires", "verdicts"), [(1_900_000_000, {OK}), (1_000_000_000, {FAIL})])
def test_cookies_are_checked(tmp_path: Path, expires: int, verdicts: set[Verdict]) -> None:
    rows = [
        f".youtube.com\tTRUE\t/\tTRUE\t{expires}\t{name}\tcookie-value-secret"
        for name in ("LOGIN_INFO", "SAPISID")
    ]
    path = tmp_path / "cookies.txt"
    path.write_text("# Netscape HTTP Cookie File\n" + "\n".join(rows) + "\n")
    path.chmod(0o600)
    findings = list_findings(config(tmp_path, cookies_path="cookies.txt"), "yt1b")
    assert {each.verdict for each in findings if each.name == "yt1b"} == verdicts
    assert "secret" not in str(findings)


def test_cookies_that_others_can_read_are_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    path.write_text("# Netscape HTTP Cookie File\n")
    path.chmod(0o644)
    findings = list_findings(config(tmp_path, cookies_path="cookies.txt"), "yt1b")
    assert any("others can read it" in each.what for each in findings)


def test_the_age_of_yt_dlp_is_that_of_its_version() -> None:
    today = time.strftime("%Y.%m.%d")
    assert 0 <= (age_days(today) or 0) < 1.1
    assert (age_days("2020.01.02.123456") or 0) > 2000
    assert age_days("unknown") is None


def test_an_official_client_is_searched_for_if_it_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [each for each in list_findings(config(tmp_path), "droid") if each.name == "gsutil"]
    chosen = config(tmp_path, transport={"droid": "gsutil"})
    (finding,) = [each for each in list_findings(chosen, "droid") if each.name == "gsutil"]
    assert finding.verdict is OK and finding.what.endswith("gsutil")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "silver").mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    findings = list_findings(config(tmp_path, silver_path="silver/here"), "nga")
    assert any(each.verdict is FAIL and "cannot be written" in each.what for each in findings)


def test_a_folder_that_accepts_no_files_fails(tmp_path: Path) -> None:
    findings = list_findings(config(tmp_path, silver_path="/proc/silver"), "nga")
    (finding,) = [each for each in findings if each.name == "folder /proc"]
    assert finding.verdict is FAIL and "cannot be written" in finding.what


def test_checks_leave_no_files_behind(tmp_path: Path) -> None:
    settings = config(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    list_findings(settings, "nga", "droid")
    assert sorted(tmp_path.rglob("*")) == before


def test_few_open_files_are_a_warning() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (machine.OPEN_FILES - 1, hard))
    try:
        finding = machine._check_open_files()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert finding.verdict is WARN and "ulimit" in finding.remedy


def test_a_disk_that_is_too_small_fails(tmp_path: Path) -> None:
    annotate(tmp_path, "bdd100k", document(image(1, "big.jpg")))
    raw = tmp_path / "raw" / "100k" / "train" / "big.jpg"
    raw.parent.mkdir(parents=True)
    with raw.open("wb") as file:
        file.truncate(8 * 10**12)
    findings = list_findings(config(tmp_path, bdd100k_raw="raw"), "bdd100k")
    (finding,) = [each for each in findings if each.name.startswith("disk")]
    assert finding.verdict is FAIL and "8.0 TB" in finding.what


def test_a_complete_subset_needs_nothing_more(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    (tmp_path / "geode.zip").write_bytes(pack_zip(subset.raw))
    settings = config(tmp_path, geode_raw="geode.zip")
    prepare(settings, "geode")
    (tmp_path / "geode.zip").unlink()
    findings = list_findings(settings, "geode")
    assert all(each.verdict is OK for each in findings), findings
    assert find_finding(settings, "geode").what == "complete: nothing more is needed"


def online(settings: Settings, *subsets: str, seconds: float = 20) -> dict[str, Finding]:
    return {
        each.name: each
        for each in network.examine(settings, bind(settings, subsets), seconds=seconds)
    }


def test_each_source_gets_one_harmless_request(tmp_path: Path, server: FileServer) -> None:
    server.files["/catalogue.csv"] = b"uuid\n" * 1000
    server.files["/inat.tar.gz"] = b"\x1f\x8b" + bytes(100_000)
    gone = "http://127.0.0.1:9"
    endpoints = {
        "hub": gone,
        "nga_catalogue": f"{server.url}/catalogue.csv",
        "droid_https": f"{server.url}/droid",
        "inaturalist_archive": f"{server.url}/inat.tar.gz",
        "fathomnet_api": f"{gone}/api",
        "yt1b_watch": f"{gone}/watch?v=",
    }
    settings = config(tmp_path, endpoints=endpoints)
    names = ("nga", "droid", "inaturalist", "fathomnet", "yt1b", "geode", "ego4d")
    findings = online(settings, *names)
    assert list(findings) == ["hub", "clock", *(f"{name} online" for name in names)]
    verdicts = {name: findings[f"{name} online"].verdict for name in names}
    assert verdicts == {
        "nga": OK,
        "droid": OK,
        "inaturalist": OK,
        "fathomnet": WARN,
        "yt1b": WARN,
        "geode": OK,
        "ego4d": OK,
    }
    assert "127.0.0.1" in findings["yt1b online"].what, "the host is named"
    assert findings["clock"].verdict is WARN and findings["hub"].verdict is WARN


def test_a_refused_link_fails_and_its_secret_is_not_shown(
    tmp_path: Path, server: FileServer
) -> None:
    server.files["/cdn/videos_fps_6.tar"] = pack_tar({"videos_fps_6/a.mp4": b"x"})
    server.faults = Faults(probability=1, kinds=(Fault.EXPIRED,))
    link = f"{server.url}/cdn/videos_fps_6.tar?Expires=1900000000&Signature=secret"
    try:
        settings = config(tmp_path, sav_videos_fps_6_download_path=link)
        finding = online(settings, "sav")["sav online"]
    finally:
        server.faults = Faults()
    assert finding.verdict is FAIL and "fresh link" in finding.remedy
    assert "127.0.0.1" in finding.what and "secret" not in str(finding)


def test_a_manifest_that_is_not_on_s3_is_reported(tmp_path: Path) -> None:
    keys = {"aws_access_key_id": ID, "aws_secret_access_key": SECRET}
    place = {"hub": "http://127.0.0.1:1", "ego4d_manifest": "https://a/manifest.csv"}
    finding = online(config(tmp_path, endpoints=place, **keys), "ego4d")["ego4d online"]
    assert finding.verdict is FAIL and "s3://bucket/key" in finding.what


def test_the_clock_is_compared_with_a_server(tmp_path: Path, server: FileServer) -> None:
    settings = config(tmp_path, endpoints={"hub": server.url})
    assert online(settings, "geode")["clock"].verdict is OK


def test_a_server_that_never_answers_does_not_delay_the_others(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = config(tmp_path, endpoints={"hub": url, "nga_catalogue": f"{url}/c.csv"})
        # The server never answers: without the limit this would not return.
        findings = online(settings, "nga", "geode", seconds=1.5)
    assert findings["nga online"].what == "no answer within 2 s"
    assert findings["geode online"].verdict is OK


def test_the_command_exits_4_when_something_needs_the_user(tmp_path: Path, saco: Saco) -> None:
    config(tmp_path)
    done = saco("doctor", "ego4d", "nga", "--json", cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 4, done.stderr
    content = json.loads(done.stdout)
    assert content["ok"] is False
    assert {"name", "verdict", "what", "remedy"} == set(content["checks"][0])
    plain = saco("doctor", "ego4d", "nga", cwd=tmp_path, HOME=str(tmp_path)).stdout
    assert "fail ego4d: no AWS keys\n" in plain and "ok   nga: open to everybody\n" in plain


def test_the_command_exits_0_when_nothing_fails(tmp_path: Path, saco: Saco) -> None:
    annotate(tmp_path, "nga", document())
    config(tmp_path)
    assert saco("doctor", "nga", cwd=tmp_path, HOME=str(tmp_path)).returncode == 0


def test_a_wrong_config_is_a_finding_and_exit_2(tmp_path: Path, saco: Saco) -> None:
    (tmp_path / "CONFIG_FRAMES.yaml").write_text(yaml.safe_dump({"geode_rwa": "x"}))
    done = saco("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 2
    (check,) = json.loads(done.stdout)["checks"]
    assert check["verdict"] == "fail" and "geode_raw" in check["remedy"]


def test_a_damaged_ledger_is_reported(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.state.mkdir(parents=True)
    (settings.state / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    (finding,) = [each for each in list_findings(settings, "nga") if each.name == "ledger"]
    assert finding.verdict is FAIL and "saco prepare" in finding.remedy


@pytest.mark.parametrize(
    "keys",
    [
        {"hf_token": "hf_" + "a" * 34},
        {"roboflow_api_key": "key"},
        {"aws_secret_access_key": SECRET},
        {"endpoints": {"hub": "https://me:secret@hub.example"}},
        {"geode_raw": "https://host/geode.zip?X-Amz-Signature=secret"},
    ],
)
def test_a_config_that_others_can_read_and_that_holds_a_secret_is_warned_of(
    tmp_path: Path, saco: Saco, keys: dict[str, Any]
) -> None:
    settings = config(tmp_path, **keys)
    assert settings.file
    name = next(iter(keys))
    for mode, warned in ((0o644, True), (0o640, True), (0o600, False)):
        settings.file.chmod(mode)
        found = [each for each in list_findings(settings, "nga") if each.name == "secrets"]
        assert [each.verdict for each in found] == [WARN] * warned
        assert all(name in each.what and "chmod 600" in each.remedy for each in found)
        assert "secret@" not in str(found) and SECRET not in str(found)
    settings.file.chmod(0o644)
    done = saco("process", "nga", cwd=tmp_path)
    assert "others on this machine can read it" in done.stderr and name in done.stderr


def test_a_config_without_a_secret_may_be_read_by_all(tmp_path: Path) -> None:
    settings = config(tmp_path, endpoints={"hub": "https://hub.example"})
    assert "secrets" not in [each.name for each in list_findings(settings, "nga")]
