"""The benchmark's table in each format, alone and beside published rows."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from saco_data.evaluation import published, tables
from saco_data.evaluation.files import Options, Task, evaluate_one
from saco_data.evaluation.results import Result
from tests.evaluation.made import some, write


def result(folder: Path, *names: str) -> Result:
    content, found = some(21, count=40)
    gt, pred = write(folder / "gt.json", content), write(folder / "pred.json", found)
    how = Options(remember=False)
    return Result({name: evaluate_one(Task(name, pred, (gt,)), how) for name in names})


@pytest.mark.parametrize("kind", tables.FORMATS)
def test_each_format_holds_the_numbers_and_their_coverage(tmp_path: Path, kind: str) -> None:
    made = result(tmp_path, "sav", "a|b & <c>")
    text = tables.as_table(made, kind)
    assert f"{100 * made.average['cgF1']:.2f}" in text and "on 40 of 40 image-NPs" in text
    assert "SAV" in text and "mean of 2" in text and "Average" not in text
    assert "<c>" not in text if kind == "html" else r"\&" in text or kind != "latex"


def test_published_rows_stand_beside_and_name_their_source(tmp_path: Path) -> None:
    text = tables.as_table(result(tmp_path, *published.COLUMNS), "csv", with_published=True)
    head, *rows = list(csv.reader(text.splitlines()))
    by_model = {row[0]: row for row in rows}
    assert head[1:4] == ["Average cgF1", "Average IL_MCC", "Average pmF1"]
    assert by_model["SAM3"][1:7] == ["49.57", "0.76", "65.17", "46.61", "0.78", "60.13"]
    assert published.SOURCE in text
    few = tables.as_table(result(tmp_path, "nga", "sav"), "md", with_published=True)
    assert "| SAM3 |  |  |  | 38.06 | 0.66 | 57.62 | 44.36 |" in few


def test_published_averages_are_those_of_their_subsets() -> None:
    for model, row in published.rows().items():
        for at in range(3):
            mean = sum(row[name][at] for name in published.COLUMNS) / 10
            assert mean == pytest.approx(row[""][at], abs=0.011), model


def test_on_a_terminal(tmp_path: Path) -> None:
    made = result(tmp_path, "nga", "other")
    text = str(made)
    assert "mean of 2" in text and "bootstrap over 20 pictures" in text
    assert tables.mean_name(10) == "Average"
