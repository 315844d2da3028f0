"""The page in a real browser: no console errors, filters that filter, a screenshot."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from saco_data.report import page
from tests.helpers.browser import cards, choose, load, rows, start, told
from tests.report.conftest import HOSTILE, Silver


@pytest.fixture(scope="module")
def browser(silver: Silver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    built = page.write(silver.settings, ("geode", "sav", "nga"))
    with start(tmp_path_factory.mktemp("profile")) as started:
        started.get(built.path.as_uri())
        yield started


@pytest.fixture
def opened(browser: Any) -> Any:
    """The page, freshly loaded and unpacked, without filters."""
    return load(browser, browser.current_url.partition("?")[0].partition("#")[0])


def test_it_loads_without_errors_and_without_the_network(opened: Any) -> None:
    assert [each for each in opened.get_log("browser") if each["level"] != "INFO"] == []
    requests = [
        each["message"]
        for each in opened.get_log("performance")
        if "Network.requestWillBeSent" in each["message"]
    ]
    assert requests and all('"url":"http' not in each for each in requests)
    assert "owned" not in opened.title
    assert told(opened, "rows") == "18 files."
    assert len(cards(opened)) > 20


def test_the_subset_filter_filters_pictures_and_files(opened: Any) -> None:
    choose(opened, subset="sav")
    assert {card["subset"] for card in cards(opened)} == {"sav"}
    assert told(opened, "rows") == "12 of 18 files match."
    assert all("sav" in row for row in rows(opened))


def test_the_state_filter_shows_what_is_lost_and_why(opened: Any) -> None:
    choose(opened, state="gone")
    assert cards(opened) == []
    shown = rows(opened)
    assert len(shown) == 4 and all("not in archive" in row for row in shown)
    assert "None of the sampled pictures match" in told(opened, "cards")


def test_the_phrase_filter_finds_positives_and_negatives(opened: Any) -> None:
    choose(opened, text="RED ball")
    both = rows(opened)
    assert both and all("the red ball" in row for row in both)
    assert {card["text"].split(" sav")[0][:12] for card in cards(opened)} == {"the red ball"}
    choose(opened, kind="positive")
    positives = rows(opened)
    assert 0 < len(positives) < len(both)
    assert all("in the picture: the red ball" in row for row in positives)
    assert {card["kind"] for card in cards(opened)} == {"positive"}
    choose(opened, kind="negative")
    assert all("not in it: the red ball" in row for row in rows(opened))
    assert {card["kind"] for card in cards(opened)} == {"negative"}
    choose(opened, text="no such phrase")
    assert rows(opened) == [] and "0 of 18" in told(opened, "rows")
    opened.find_element("css selector", "#filters button").click()
    choose(opened, text="")
    assert told(opened, "rows") == "18 files."


def test_hostile_words_are_shown_as_words(opened: Any) -> None:
    choose(opened, text="</script><img src=x")
    (row,) = rows(opened)
    assert HOSTILE.replace("\u202e", "\ufffd") in row
    assert opened.execute_script("return document.querySelectorAll('#rows img').length") == 0
    assert "owned" not in opened.title


def test_masks_can_be_taken_off(opened: Any) -> None:
    visible = "return document.querySelector('.card .over').checkVisibility()"
    assert opened.execute_script(visible)
    opened.find_element("id", "masks").click()
    assert not opened.execute_script(visible)


def test_it_can_be_used_with_the_keyboard(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(opened).send_keys(Keys.TAB).perform()
    focused = "return document.activeElement.className || document.activeElement.id"
    assert opened.execute_script(focused) == "skip"
    ActionChains(opened).send_keys(Keys.ENTER).perform()
    assert opened.execute_script(focused) == "main"
    unnamed = opened.execute_script(
        "return [...document.querySelectorAll('input, select, button')].filter("
        "each => !(each.textContent.trim() || each.labels?.length)).length"
    )
    assert unnamed == 0


def test_light_and_dark_follow_the_system_and_the_button(opened: Any) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"

    def system(value: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": value}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    system("light")
    light = opened.execute_script(paper)
    system("dark")
    dark = opened.execute_script(paper)
    assert light != dark
    opened.find_element("id", "theme").click()
    assert opened.execute_script(paper) == light
    opened.find_element("id", "theme").click()
    assert opened.execute_script(paper) == dark


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_phone_and_desk_and_its_text_can_be_read(
    opened: Any, width: int, scheme: str, tmp_path: Path
) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    opened.execute_script("delete document.documentElement.dataset.theme")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    picture = Image.open(io.BytesIO(opened.get_screenshot_as_png())).convert("L")
    picture.save(tmp_path / "page.png")
    shades = np.bincount(np.asarray(picture).ravel(), minlength=256)
    # The paper takes up most of it, and something on it is much darker or lighter.
    paper = int(shades.argmax())
    assert (paper > 230) == (scheme == "light")
    assert shades[:100].sum() > 500 if scheme == "light" else shades[180:].sum() > 500
    assert poor_contrast(opened) == []


def poor_contrast(browser: Any) -> list[str]:
    """Texts that can be seen but hardly read: a contrast below 4.5 (WCAG AA)."""
    found: list[str] = browser.execute_script(
        """
        const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = (colour) => parts(colour).slice(0, 3).map((value) => {
            const part = value / 255;
            return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        }).reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
        const behind = (node) => {
            for (let at = node; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (parts(colour)[3] !== 0) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        const poor = [];
        for (const node of document.querySelectorAll("main *, header *, footer *")) {
            const own = [...node.childNodes].some((it) => it.nodeType === 3 && it.data.trim());
            if (!own || node.closest("svg, option, :disabled") || !node.checkVisibility()) continue;
            const [one, other] = [getComputedStyle(node).color, behind(node)].map(light);
            const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (ratio < 4.5) poor.push(`${ratio.toFixed(1)} ${node.className} ${node.textContent}`);
        }
        return poor;
        """
    )
    return found
