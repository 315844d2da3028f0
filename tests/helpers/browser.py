"""Chromium, driven by selenium, and what a test reads from our page in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",  # nothing is still scrolling when it is clicked
    "--window-size=1200,900",
)


def absent(what: str) -> NoReturn:
    message = f"{what} is not installed: the page was NOT tried in a browser"
    if os.environ.get("CI"):
        pytest.fail(message)
    warnings.warn(message, stacklevel=2)
    pytest.skip(message)


@contextlib.contextmanager
def start(profile: Path) -> Iterator[Any]:
    """A browser with its own profile; skips the test where there is none, fails it in CI."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        absent("Chromium with chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        absent("selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        started.set_script_timeout(20)
        yield started
    finally:
        started.quit()


def load(browser: Any, address: str) -> Any:
    """Opens a page and waits until it is unpacked; returns the browser."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(address)
    WebDriverWait(browser, 20).until(
        lambda it: it.execute_script("return document.body.dataset.ready") == "yes"
    )
    return browser


def choose(browser: Any, **values: str) -> None:
    """Sets filters as a reader does, and waits until they have taken effect."""
    browser.execute_async_script(
        """
        const [values, done] = arguments;
        for (const [name, value] of Object.entries(values)) {
            const field = document.getElementById(`f-${name}`);
            field.value = value;
            if (field.value !== value) throw new Error(`${name} cannot be ${value}`);
            field.dispatchEvent(new Event("input", { bubbles: true }));
        }
        setTimeout(done, 300);
        """,
        values,
    )


def cards(browser: Any) -> list[dict[str, str]]:
    """What is known of the cards that can be seen."""
    found: list[dict[str, str]] = browser.execute_script(
        "return [...document.querySelectorAll('.card')].filter(card => card.checkVisibility())"
        ".map(card => ({...card.dataset}))"
    )
    return found


def rows(browser: Any) -> list[str]:
    """The text of the rows of this page."""
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#rows tr')].map(row => row.textContent)"
    )
    return found


def told(browser: Any, where: str) -> str:
    text: str = browser.execute_script(f"return document.getElementById('s-{where}').textContent")
    return text
