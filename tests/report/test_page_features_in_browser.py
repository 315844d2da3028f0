"""The page in a real browser: viewer, address, CSV, copies, links, comparison, phone."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from saco_data.dataset import pairs
from saco_data.dataset.drawing import PALETTE, scale_mask
from saco_data.dataset.pairs import decode_masks
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.report import page
from saco_data.share import card, copies
from tests.helpers.browser import cards, choose, load, rows, start, told
from tests.helpers.waiting import wait_until
from tests.report.conftest import Silver


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def other(silver: Silver, folder: Path) -> Path:
    """The card of another copy: without the first file of geode, with one that is gone here."""
    path = card.write(silver.settings, card.make(silver.settings, ("geode",)), folder / "theirs")
    content = json.loads(path.read_text())
    names = (path.parent / "geode.keep.txt").read_text().splitlines()
    annotated = {
        each.file_name for each in pairs.read(silver.settings.subset("geode").pristine).pairs
    }
    theirs = sorted({*names[1:], *(annotated - set(names))})
    text = "".join(f"{name}\n" for name in theirs)
    (path.parent / "geode.keep.txt").write_text(text)
    content["subsets"]["geode"]["keep_list_sha256"] = keep_list_sha256(theirs)
    path.write_text(json.dumps(content))
    return path.parent


@pytest.fixture(scope="module")
def browser(silver: Silver, folder: Path, other: Path) -> Iterator[Any]:
    copy = copies.load(other, silver.settings.registry.ids)
    built = page.write(
        silver.settings, ("geode", "sav", "nga"), silver.settings.state / "compared.html", copy
    )
    with start(folder / "profile") as started:
        permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        started.execute_cdp_cmd("Browser.grantPermissions", permissions)
        downloads = {"behavior": "allow", "downloadPath": str(folder)}
        started.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
        started.get(built.path.as_uri())
        yield started


@pytest.fixture
def opened(browser: Any) -> Any:
    """The page, freshly loaded, without filters, on a desk."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_script("localStorage.clear()")
    return load(browser, browser.current_url.partition("?")[0].partition("#")[0])


def text_of(browser: Any, selector: str) -> str:
    text: str = browser.execute_script(
        "return document.querySelector(arguments[0]).textContent", selector
    )
    return " ".join(text.split())


def drawn(browser: Any) -> np.ndarray[Any, Any]:
    """What the viewer drew over the picture, uint8 [height, width, 4]."""
    data = browser.execute_script(
        "const c = document.getElementById('v-canvas');"
        "return c.toDataURL('image/png').split(',')[1]"
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


def set_value(browser: Any, name: str, value: object) -> None:
    browser.execute_script(
        "const field = document.getElementById(arguments[0]);"
        "if (field.type === 'checkbox') field.checked = arguments[1];"
        "else field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def open_two_masks(browser: Any, silver: Silver) -> list[Any]:
    """Opens a card with two masks; returns them at the size of its picture."""
    button = browser.execute_script(
        "const card = [...document.querySelectorAll('.card')].find(each =>"
        " each.dataset.masks === '2' && each.dataset.subset === 'sav');"
        "return card.querySelector('[data-open]')"
    )
    found = browser.execute_script(
        "const card = arguments[0].closest('.card'), image = card.querySelector('img');"
        "return [card.querySelector('.phrase').textContent, card.querySelector('code').textContent,"
        " Number(image.getAttribute('width')), Number(image.getAttribute('height'))]",
        button,
    )
    button.click()
    content = pairs.read(silver.settings.subset("sav").pristine)
    (pair,) = [p for p in content.pairs if [p.phrase, p.file_name] == found[:2]]
    masks, _ = decode_masks(pair, content.of(pair))
    assert len(masks) == 2
    return [scale_mask(mask, (found[2], found[3])) for mask in masks]


def test_the_headline_adds_up_and_what_to_do_comes_first(opened: Any) -> None:
    assert text_of(opened, "h1").startswith("14 of 18 files are ready, 4 gone")
    steps = [each.text for each in opened.find_elements(By.CSS_SELECTOR, ".next li")]
    assert any("saco eval PREDICTIONS.json" in each for each in steps)
    assert any("saco plan nga" in each for each in steps)
    tops = opened.execute_script(
        "return ['.next', '.figures', '#coverage'].map(name =>"
        " document.querySelector(name).getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)


def test_totals_and_signs_are_the_sums_of_the_subsets(opened: Any) -> None:
    numbers = opened.execute_script(
        """
        const of = (row) => [...row.querySelectorAll('.num')].slice(1).flatMap(cell =>
            cell.textContent.replaceAll(',', '').match(/\\d+/g).map(Number));
        return [[...document.querySelectorAll('.coverage tbody tr')]
            .filter(row => row.querySelector('.num')).map(of),
            of(document.querySelector('.coverage tfoot tr'))]
        """
    )
    subsets, total = numbers
    assert len(subsets) == 2 and [sum(each) for each in zip(*subsets, strict=True)] == total
    usable, _, positive, negative, *_ = total
    assert usable == positive + negative
    assert f"{positive} of" in text_of(opened, "#signs")


def test_there_are_four_histograms_with_words_for_those_who_do_not_see_them(opened: Any) -> None:
    labels = opened.execute_script(
        "return [...document.querySelectorAll('svg.histogram')].map(each =>"
        " each.getAttribute('aria-label'))"
    )
    assert [each.split(".")[0].split(",")[0] for each in labels] == [
        "Mask area",
        "Masks of a positive phrase",
        "Phrases of a picture",
        "Picture size",
    ]
    assert all("ready" in each for each in labels)


def test_losses_have_the_colour_of_their_state(opened: Any) -> None:
    colours = opened.execute_script(
        "return [...document.querySelectorAll('.losses > li')].map(each => ["
        " each.querySelector('.badge').textContent,"
        " getComputedStyle(each.querySelector('rect')).fill,"
        " getComputedStyle(document.querySelector("
        "  `.legend .b-${each.querySelector('.badge').textContent}`)).backgroundColor])"
    )
    assert {state for state, _, _ in colours} == {"gone", "blocked"}
    assert all(fill == legend for _, fill, legend in colours)


def test_the_sample_comes_before_what_is_worth_a_look(opened: Any) -> None:
    heads = opened.execute_script(
        "return [...document.querySelectorAll('#pictures h3')].map(each => each.textContent)"
    )
    assert heads[:2] == ["A random sample", "Worth a look"]


def test_masks_are_outlines_until_they_are_filled(opened: Any, silver: Silver) -> None:
    masks = open_two_masks(opened, silver)
    outline = drawn(opened)
    for mask, colour in zip(masks, PALETTE, strict=False):
        visible = outline[..., 3] > 0
        own = visible & (outline[..., :3] == colour).all(axis=2)
        # Only edges of the mask, and all the way round it.
        assert 0 < own.sum() < mask.sum() and not (own & ~mask).any()
        rows_, columns = np.nonzero(mask)
        assert own[rows_.min()].any() and own[rows_.max()].any()
        assert own[:, columns.min()].any() and own[:, columns.max()].any()
    set_value(opened, "v-opacity", 50)
    filled = drawn(opened)
    assert ((filled[..., 3] > 0) == np.logical_or(*masks)).all()
    assert set(np.unique(filled[..., 3])) == {0, 128, 255}


def test_one_mask_at_a_time_and_boxes(opened: Any, silver: Silver) -> None:
    masks = open_two_masks(opened, silver)
    set_value(opened, "v-opacity", 100)
    opened.find_element(By.ID, "v-close").send_keys(Keys.ARROW_DOWN)
    assert ((drawn(opened)[..., 3] > 0) == masks[0]).all()
    opened.find_element(By.ID, "v-after").click()
    assert ((drawn(opened)[..., 3] > 0) == masks[1]).all()
    without = (drawn(opened)[..., 3] > 0).sum()
    set_value(opened, "v-boxes", True)
    boxed = drawn(opened)[..., 3] > 0
    assert boxed.sum() > without
    rows_, columns = np.nonzero(masks[1])
    # The box goes round the mask, to a pixel.
    around = np.nonzero(boxed)
    assert abs(around[0].min() - rows_.min()) <= 1 and abs(around[0].max() - rows_.max()) <= 1
    assert abs(around[1].min() - columns.min()) <= 1 and abs(around[1].max() - columns.max()) <= 1


def test_the_viewer_works_with_the_keyboard_alone(opened: Any) -> None:
    opened.execute_script("document.querySelectorAll('[data-open]')[1].focus()")
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    assert opened.execute_script("return document.getElementById('viewer').open")
    first = text_of(opened, "#v-title"), text_of(opened, "#v-file")
    opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert (text_of(opened, "#v-title"), text_of(opened, "#v-file")) != first
    opened.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert (text_of(opened, "#v-title"), text_of(opened, "#v-file")) == first
    large = "return document.getElementById('v-picture').getBoundingClientRect().width"
    assert opened.execute_script(large) > 600
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not opened.execute_script("return document.getElementById('viewer').open")
    focused = "return [...document.querySelectorAll('[data-open]')].indexOf(document.activeElement)"
    assert opened.execute_script(focused) == 1


def test_filters_are_in_the_address_and_come_back_with_it(opened: Any) -> None:
    choose(opened, text="red ball", subset="sav", kind="negative")
    before = told(opened, "rows"), rows(opened)
    assert "text=red+ball" in opened.current_url and "subset=sav" in opened.current_url
    load(opened, opened.current_url)
    assert (told(opened, "rows"), rows(opened)) == before
    opened.find_element(By.CSS_SELECTOR, "#filters button").click()
    choose(opened, text="")
    assert "?" not in opened.current_url
    load(opened, f"{opened.current_url}?subset=none-of-these")
    assert told(opened, "rows") == "18 files."


def test_the_search_tells_about_all_files_wherever_it_is_read(opened: Any) -> None:
    choose(opened, text="no such phrase")
    assert cards(opened) == [] and told(opened, "all") == "0 of 18 files match."
    choose(opened, text="ball")
    assert told(opened, "all") == told(opened, "rows") != ""


@pytest.mark.parametrize("width", [390, 1200])
def test_filters_stay_in_sight(opened: Any, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    opened.execute_script("document.getElementById('rows').scrollIntoView()")
    top, bottom = opened.execute_script(
        "const box = document.getElementById('f-text').getBoundingClientRect();"
        "return [box.top, box.bottom]"
    )
    assert 0 <= top < bottom <= 300


def test_the_navigation_of_a_phone_is_whole(opened: Any) -> None:
    metrics = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    boxes = opened.execute_script(
        "return [...document.querySelectorAll('.top nav a')].map(each => {"
        " const box = each.getBoundingClientRect();"
        " return [document.querySelector(each.getAttribute('href')) !== null,"
        "  box.left, box.right] })"
    )
    assert len(boxes) == 10
    assert all(leads and 0 <= left < right <= 390 for leads, left, right in boxes)


def test_links_lead_to_files_and_follow_the_folder_of_the_reader(
    opened: Any, silver: Silver, tmp_path: Path
) -> None:
    choose(opened, state="done")
    links = "return [...document.querySelectorAll('#rows th a')].map(each => each.href)"
    found = opened.execute_script(links)
    assert len(found) == 14
    assert all(Path(unquote(each.removeprefix("file://"))).is_file() for each in found)
    mine = tmp_path / "my pictures"
    opened.execute_script(
        "const field = document.getElementById('f-folder'); field.value = arguments[0];"
        "field.dispatchEvent(new Event('change'))",
        str(mine),
    )
    moved = [unquote(each.removeprefix("file://")) for each in opened.execute_script(links)]
    images = silver.settings.silver / "images"
    here = [unquote(each.removeprefix("file://")) for each in found]
    assert moved == [each.replace(str(images), str(mine)) for each in here]


def test_the_filtered_list_is_saved_as_csv(opened: Any, folder: Path) -> None:
    choose(opened, state="gone", subset="sav")
    opened.find_element(By.ID, "csv").click()
    saved = folder / "files.csv"
    wait_until(saved.exists, 20)
    with saved.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3
    assert {(row["subset"], row["state"], row["reason"]) for row in table} == {
        ("sav", "gone", "not_in_archive")
    }
    assert all(row["positive phrases"] and row["file"].endswith(".jpg") for row in table)


def test_csv_has_no_formulas(opened: Any) -> None:
    # The function is private to the page: its source is run as it stands there.
    source = opened.execute_script(
        "const own = [...document.scripts].at(-1).textContent;"
        "return own.match(/const field = \\(value\\)[^]*?\\n};/)[0]"
    )
    made = opened.execute_script(f"{source} return ['=1+1', 'a,\"b', '-2', 'plain'].map(field)")
    assert made == ["'=1+1", '"a,""b"', "'-2", "plain"]


@pytest.mark.parametrize(
    ("name", "begins"), [("paragraph", "SA-Co/Silver was"), ("evaluator", "silver_img_path: /")]
)
def test_paragraph_and_lines_are_copied(opened: Any, name: str, begins: str) -> None:
    button = opened.find_element(By.CSS_SELECTOR, f"[data-copy={name}]")
    button.click()
    copied = opened.execute_async_script(
        "const done = arguments[0];"
        "navigator.clipboard.readText().then(done, (error) => done(String(error)))"
    )
    text = opened.execute_script(f"return document.getElementById('{name}').textContent")
    assert copied == text and text.startswith(begins) and button.text == "Copied"


def test_another_copy_is_compared(opened: Any) -> None:
    cells = opened.execute_script(
        "return [...document.querySelectorAll('#compare tbody tr')].map(row =>"
        " [...row.querySelectorAll('th, td')].map(cell =>"
        " cell.textContent.match(/^\\s*([a-z]+|\\d+)/)[1]))"
    )
    assert cells == [["geode", "4", "1", "1"]]
    assert "theirs" in text_of(opened, "#compare .intro")
    for which, count in (("both", 4), ("here", 1), ("there", 1), ("neither", 0)):
        choose(opened, there=which)
        assert told(opened, "rows") == f"{count} of 18 files match."
    choose(opened, there="there")
    assert "gone" in rows(opened)[0]


def test_what_changed_since_a_run_is_listed(opened: Any) -> None:
    opened.find_element(By.CSS_SELECTOR, ".runs [data-filter]").click()
    assert "since=" in opened.current_url
    started = opened.execute_script("return Number(document.getElementById('f-since').value)")
    assert started > 0 and told(opened, "rows") in ("18 files.", "18 of 18 files match.")
    opened.execute_script(
        "const field = document.getElementById('f-since');"
        "field.append(new Option('later', '4000000000'))"
    )
    choose(opened, since="4000000000")
    assert told(opened, "rows") == "0 of 18 files match."
