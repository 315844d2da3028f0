"""On a terminal of 80 columns every table is readable: nothing is cut, nothing runs over."""

from __future__ import annotations

import pytest
from rich.console import Console

from saco_data.engine.status import Status, SubsetStatus
from saco_data.model.finding import Finding, Verdict
from saco_data.model.reasons import Reason, State
from saco_data.report import console

REASONS = {Reason.NOT_IN_ARCHIVE: 123456, Reason.HTTP_404: 2, Reason.VIDEO_UNAVAILABLE: 3}


def _status(count: int) -> Status:
    states = dict.fromkeys(State, 0) | {State.DONE: count - 1, State.GONE: 1}
    numbers = (count, count)
    return Status(
        [
            SubsetStatus(name, count, states, REASONS, numbers, numbers, "", False, usable=(1, 2))
            for name in ("geode", "inaturalist", "sa-v/train")
        ]
    )


def test_the_status_says_why_a_subset_stopped_early(capsys: pytest.CaptureFixture[str]) -> None:
    status = _status(3)
    status.subsets[1].waits = "https://a.example/b: connection failed. Run the same command again"
    console.print_waits(status)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split(None, 1)[0] == "inaturalist" and "connection failed" in line


def _terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(
        console, "stdout", lambda: Console(width=width, force_terminal=True, color_system=None)
    )


def test_the_status_says_everything_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _terminal(monkeypatch, 80)
    console.print_status(_status(1_439_051))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80 and "…" not in said
    assert said.count("1439051 ") >= 3 and "1/1439051 image-NPs, 2/1439051 masks" in said
    for name in ("geode", "inaturalist", "sa-v/train"):
        assert len([line for line in said.splitlines() if line.split()[0] == name]) == 2
    words = " ".join(said.split())
    assert words.count("http_404 2, not_in_archive 123456, video_unavailable 3") == 3


def test_a_wide_terminal_has_one_line_a_subset(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _terminal(monkeypatch, 160)
    console.print_status(_status(1_439_051))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[2].split()[-1] == "3" and "2/1439051" in lines[2]


def test_a_finding_is_wrapped_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _terminal(monkeypatch, 80)
    what = "none for geode, bdd100k, food_rec, nga, inaturalist, fathomnet, droid, sav, ego4d"
    console.print_finding(Finding("annotations", Verdict.FAIL, what, "Set HF_TOKEN"))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == f"fail annotations: {what} Set HF_TOKEN"
