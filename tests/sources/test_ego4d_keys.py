"""AWS keys in all the forms in which they can be wrong: exit 4, and where they were looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.finding import Verdict
from saco_data.model.reasons import Reason
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from tests.sources.test_ego4d import run, server, source

__all__ = ["server"]

GOOD = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
# (variables, the file `credentials`, the file `config`, what the message names)
CASES: dict[str, tuple[dict[str, str], str, str, str]] = {
    "unknown profile": ({"AWS_PROFILE": "mine"}, f"[default]\n{GOOD}", "", "mine"),
    "no default": ({}, f"[other]\n{GOOD}", "", "credentials"),
    "half a pair": ({}, "[default]\naws_access_key_id = A\n", "", "credentials"),
    "no ini": ({}, "}{ nonsense", "", "credentials"),
    "not UTF-8": ({}, "[default]\n\udcff\udcfe = 1\n", "", "credentials"),
    "program is missing": ({}, "", "[default]\ncredential_process = /no/such/program\n", "config"),
    "program fails": ({}, "", "[default]\ncredential_process = false\n", "config"),
    "program talks nonsense": ({}, "", "[default]\ncredential_process = echo hello\n", "config"),
    "program gives no keys": ({}, "", "[default]\ncredential_process = echo {}\n", "config"),
    "program of another version": (
        {},
        "",
        "[default]\ncredential_process = echo '{\"Version\": 9}'\n",
        "config",
    ),
    "sso without login": (
        {},
        "",
        "[default]\nsso_start_url = https://x.invalid\nsso_region = eu-west-1\n"
        "sso_account_id = 1\nsso_role_name = r\n",
        "config",
    ),
    "sso session that does not exist": ({}, "", "[default]\nsso_session = gone\n", "config"),
    "odd region": ({"AWS_DEFAULT_REGION": "not a region!"}, f"[default]\n{GOOD}", "", "config"),
    "line end in a variable": (
        {"AWS_ACCESS_KEY_ID": ACCESS_KEY + "\n", "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
        "",
        "",
        "AWS_ACCESS_KEY_ID",
    ),
    "line end in the secret": (
        {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY + "\r\n"},
        "",
        "",
        "AWS_SECRET_ACCESS_KEY",
    ),
    "one variable": ({"AWS_ACCESS_KEY_ID": ACCESS_KEY}, "", "", "AWS_ACCESS_KEY_ID"),
}


@pytest.mark.parametrize("case", CASES)
def test_unusable_keys_are_blocked_and_their_place_is_named(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    variables, credentials, settings, named = CASES[case]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for variable, name, text in (
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", credentials),
        ("AWS_CONFIG_FILE", "config", settings),
    ):
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        monkeypatch.setenv(variable, str(tmp_path / name))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Blocked) as told:
        run(source(tmp_path), "clip-0")
    assert told.value.exit_code == 4 and told.value.reason is Reason.CREDENTIALS_MISSING
    assert named in str(told.value), str(told.value)
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in str(told.value)
    # The doctor has no traceback either, and does not call it fine.
    finding = next(iter(source(tmp_path).diagnose()))
    assert (
        case == "odd region"
        or case.startswith(("program", "sso"))
        or (finding.verdict is not Verdict.OK)
    )


def test_keys_of_the_config_with_a_line_end(server: S3Server, tmp_path: Path) -> None:
    more = f'aws_access_key_id: "{ACCESS_KEY}\\n"\naws_secret_access_key: "{SECRET_KEY}"\n'
    with pytest.raises(Blocked, match="in the config") as told:
        run(source(tmp_path, more), "clip-0")
    assert told.value.reason is Reason.CREDENTIALS_MISSING


def test_a_program_that_gives_keys_is_used(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    answer = f'{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET_KEY}"}}'
    (tmp_path / "config").write_text(f"[default]\ncredential_process = echo '{answer}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert len(run(source(tmp_path), "clip-0", "clip-1")) == 2
