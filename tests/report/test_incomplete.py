"""A copy that is not complete does not look complete: table, page, lines for the evaluator."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.cli.common import show
from saco_data.report import page
from tests.helpers.tiny_subset import NAMES, PICTURES, SUBSET, TinySubset


@pytest.mark.parametrize("why", ["failed", "blocked", "gone", "complete"])
def test_no_total_while_a_picture_is_missing(
    tmp_path: Path, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = TinySubset(tmp_path)
    if why == "gone":
        small.holds(NAMES[1:])
    elif why == "failed":
        before = PICTURES[NAMES[0]]
        small.tar.write_bytes(small.tar.read_bytes().replace(before, bytes(len(before))))
    elif why == "blocked":
        small.tar.unlink()
        folder = tmp_path / "bdd100k.tar" / "100k" / "train"
        folder.mkdir(parents=True)
        for name in NAMES[1:]:
            (folder / name).write_bytes(PICTURES[name])
    small.prepare()
    show(small.settings, [SUBSET], False)
    told = capsys.readouterr().out
    html = page.write(small.settings, [SUBSET]).path.read_text()
    is_open = why in ("failed", "blocked")
    assert ("8/10" in told) == (is_open or why == "gone")
    assert ("10/10" in told) == (why == "complete")
    assert ("<dd>100 %</dd>" in html) == (why == "complete")
    assert "silver_img_path" in told


def test_no_lines_for_the_evaluator_where_nothing_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = TinySubset(tmp_path)
    small.tar.unlink()
    small.prepare()
    show(small.settings, [SUBSET], False)
    assert "silver_img_path" not in capsys.readouterr().out
