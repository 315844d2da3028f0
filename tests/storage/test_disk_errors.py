"""Errors of the disk are explained, other errors pass unchanged."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from saco_data.model.errors import DiskFull, DiskTrouble, OutputError, SacoError
from saco_data.storage.disk_errors import describe_system_error, explain_errors
from saco_data.storage.names import UnsafeName


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EFBIG, errno.EINVAL, errno.ESTALE, errno.EMFILE]
)
def test_errors_of_the_disk_are_explained(tmp_path: Path, number: int) -> None:
    with pytest.raises(OutputError) as explained, explain_errors(tmp_path / "a"):
        raise OSError(number, "no matter")
    assert os.strerror(number) in explained.value.what
    assert explained.value.item == str(tmp_path / "a")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "x"),
        ConnectionResetError(errno.ECONNRESET, "x"),
        OSError(errno.EHOSTUNREACH, "x"),
        ssl.SSLError(8, "x"),
        OSError(),
    ],
)
def test_errors_from_reading_and_from_connections_pass_unchanged(
    tmp_path: Path, error: OSError
) -> None:
    with pytest.raises(type(error)), explain_errors(tmp_path / "a"):
        raise error


def test_a_full_disk_and_a_long_name_have_errors_of_their_own(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(DiskFull, match="no space"), explain_errors(tmp_path / "a"):
            raise OSError(number, "x")
    with pytest.raises(UnsafeName, match="too long"), explain_errors(tmp_path / "a"):
        raise OSError(errno.ENAMETOOLONG, "x")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EREMOTEIO])
def test_trouble_of_a_disk_is_no_fault_of_the_config(tmp_path: Path, number: int) -> None:
    with pytest.raises(DiskTrouble) as explained, explain_errors(tmp_path / "a"):
        raise OSError(number, "no matter")
    assert explained.value.exit_code == 3
    assert "config" not in str(explained.value) and "Run again" in str(explained.value)


@pytest.mark.parametrize("name", ["18:50:36.mp4", "a*b", 'a"b', "a<b>|c", "what?.jpg"])
def test_a_name_that_the_file_system_refuses_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError) as explained, explain_errors(tmp_path / name):
        raise OSError(errno.EINVAL, "x")
    said = str(explained.value)
    assert "refuses" in said and "exFAT, NTFS and CIFS" in said and name in said
    with pytest.raises(OutputError) as explained, explain_errors(tmp_path / "plain.mp4"):
        raise OSError(errno.EINVAL, "x")
    assert "refuses" not in str(explained.value)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a /proc")
def test_a_folder_that_takes_no_new_names_is_told_and_a_missing_input_is_a_bug(
    tmp_path: Path,
) -> None:
    def describe(act: Callable[[], object]) -> SacoError | None:
        with pytest.raises(FileNotFoundError) as raised:
            act()
        return describe_system_error(raised.value)

    for act in (
        lambda: Path("/proc/saco-test").mkdir(),
        lambda: Path("/proc/saco-test").write_text(""),
    ):
        told = describe(act)
        assert isinstance(told, OutputError) and told.item == "/proc/saco-test"
    assert describe((tmp_path / "nope").read_text) is None
    assert describe((tmp_path / "nope" / "deeper").read_text) is None
