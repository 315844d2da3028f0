"""Keys that are there and are not found: the profile, the file or the variable is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data import doctor, sources
from saco_data.transports.s3 import keys
from tests.helpers.folders import config

KEYS = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = " + "s" * 40 + "\n"


@pytest.mark.parametrize(
    ("content", "profile", "said"),
    [
        (f"[ego4d]\n{KEYS}", "", ["no [default]", "ego4d", "AWS_PROFILE"]),
        (f"[ego4d]\n{KEYS}", "ego5d", ["ego5d", "does not exist", "there are: ego4d"]),
        (
            f"[default]\n{KEYS}",
            "ego4d",
            ["AWS_PROFILE names the profile ego4d", "there are: default"],
        ),
        (None, "ego4d", ["AWS_PROFILE names the profile ego4d", "credentials"]),
    ],
)
def test_a_profile_that_is_not_there_is_named(
    tmp_path: Path,
    no_credentials: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    profile: str,
    said: list[str],
) -> None:
    if content:
        (no_credentials / ".aws").mkdir()
        (no_credentials / ".aws" / "credentials").write_text(content)
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    assert keys.find(None, None) is None
    settings = config(tmp_path)
    missing = sources.make(settings.subset("ego4d")).missing_requirement()
    (found,) = [
        each for each in doctor.examine(settings, ["ego4d"], online=False) if each.name == "ego4d"
    ]
    for word in said:
        assert word in missing and word in found.what
    assert "s" * 40 not in missing


def test_without_any_keys_nothing_is_invented(no_credentials: Path) -> None:
    assert keys.explain_missing() == ""
