"""Names from outside stay in their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.storage.names import UnsafeName, safe_join


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\0b",
        "a\nb",
        "a\\b",
        "x" * 256,
        "/".join(["x" * 200] * 6),
        "\ud800",
    ],
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(UnsafeName):
        safe_join(Path("/root"), name)


@given(st.text(max_size=40))
def test_an_accepted_name_never_leaves_its_folder(name: str) -> None:
    root = Path("/some/root")
    try:
        path = safe_join(root, name)
    except UnsafeName:
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to(root) and path != root


def test_real_names_pass() -> None:
    name = "AUTOLab_failure_2023-07-07_Fri_Jul__7_18:50:36_2023_recordings_MP4_22008760/00002.jpg"
    assert safe_join(Path("/r"), name) == Path("/r") / name
