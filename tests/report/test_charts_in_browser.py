"""The labels of charts in a real browser: whole, apart from each other, large enough to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.report import charts, templating
from tests.helpers.browser import start

# Each chart with much in it: many bins, objects with long names, a long time.
CHARTS = {
    "histogram": charts.histogram(
        [
            (label, 12_345 * at, 678)
            for at, label in enumerate(("< 0.01", "0.01–0.1", "5–9", "> 50"))
        ],
        "Mask area",
    ),
    "timeline": charts.timeline(
        list(range(0, 96, 4)),
        [(str(100 + at), [frame % (at + 2) > 0 for frame in range(24)]) for at in range(20)],
        "sav_000001",
    ),
    "growth": charts.growth([1_700_000_000 + 50 * at for at in range(3000)], [1_700_000_000]),
}
LABELS = """
const problems = [];
for (const plot of document.querySelectorAll("svg.plot")) {
    const frame = plot.getBoundingClientRect();
    const boxes = [...plot.querySelectorAll("text")].filter(each => each.textContent)
        .map(each => [each.textContent, each.getBoundingClientRect()]);
    boxes.forEach(([text, box], at) => {
        if (box.left < frame.left - 1 || box.right > frame.right + 1
            || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
            problems.push(`${text} is cut`);
        if (box.height < 9) problems.push(`${text} is ${box.height} pixels high`);
        for (const [other, its] of boxes.slice(at + 1))
            if (box.left < its.right && its.left < box.right
                && box.top < its.bottom - 1 && its.top < box.bottom - 1)
                problems.push(`${text} lies on ${other}`);
    });
}
if (document.documentElement.scrollWidth > document.documentElement.clientWidth)
    problems.push("the page is wider than the window");
return [document.querySelectorAll("svg.plot").length, problems];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with start(tmp_path_factory.mktemp("charts") / "profile") as started:
        yield started


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", CHARTS)
def test_labels_are_whole_and_apart(browser: Any, tmp_path: Path, name: str, width: int) -> None:
    style = templating.read_template("page.css")
    figure = f"<figure>{CHARTS[name]}</figure>"
    if name == "histogram":
        figure = f'<div class="charts">{figure}</div>'
    page = tmp_path / "charts.html"
    page.write_text(
        '<!DOCTYPE html><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style><main>{figure}</main>"
    )
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    assert browser.execute_script(LABELS) == [1, []]
