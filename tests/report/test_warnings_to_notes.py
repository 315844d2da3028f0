"""Warnings that are logged reach the user once, under their subset."""

from __future__ import annotations

import logging
import threading

import pytest

from saco_data.report.console import Lines
from saco_data.report.warnings_to_notes import Warnings


def test_a_warning_is_a_note_under_its_subset(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("saco_data.sources.nga")
    warnings = Warnings(Lines())
    warnings.listen()
    try:
        log.warning("%s is there twice", "a.jpg", extra={"subset": "nga"})
        log.warning("the cookies file is old")
        log.info("not a warning")
    finally:
        warnings.close()
    assert capsys.readouterr().err.splitlines() == [
        "nga: warning: a.jpg is there twice",
        "warning: the cookies file is old",
    ]
    assert not logging.getLogger("saco_data").handlers


def test_lines_of_many_threads_stay_whole(capfd: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    def talk(name: str) -> None:
        for number in range(300):
            lines.note(name, f"line {number}")

    threads = [threading.Thread(target=talk, args=[name]) for name in ("nga", "sav", "droid")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == sorted(
        f"{name}: line {number}" for name in ("nga", "sav", "droid") for number in range(300)
    )
