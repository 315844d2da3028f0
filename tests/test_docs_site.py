"""The docs as a site: it builds without network and warnings, with a search, and every page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from saco_data.config.installation import page
from tests.conftest import ROOT

CHECKOUT = (ROOT / "pyproject.toml").resolve().parent
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-c", "docs", "."]
    done = subprocess.run(
        [*command, "-d", str(to / "doctrees"), str(to / "html")],
        cwd=CHECKOUT,
        env={**NO_NETWORK, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return to / "html"


def test_every_page_is_on_the_site_and_in_its_index(site: Path) -> None:
    names = [f"docs/{path.stem}" for path in (CHECKOUT / "docs").glob("*.md")]
    names += ["README", "CONTRIBUTING", "CHANGELOG", "pipelines/README"]
    index = (site / "docs" / "index.html").read_text()
    for name in names:
        assert (site / f"{name}.html").is_file(), name
        assert name == "docs/index" or f"{Path(name).name}.html" in index, name
    assert (site / "_images" / "report.png").is_file()


def test_the_search_knows_words_of_the_docs(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    assert all(f'"{word}"' in index or f"{word}:" in index for word in ("ledger", "cgf1", "cooki"))
    assert "searchindex.js" in (site / "search.html").read_text()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text()
        loaded = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"([^\"]+)\"", text)
        assert not [each for each in loaded if re.match(r"(https?:)?//", each)], path


def test_links_between_pages_lead_to_pages(site: Path) -> None:
    for path in (site / "docs").glob("*.html"):
        for target in re.findall(r'href="([^"#:]+\.html)', path.read_text()):
            assert (path.parent / target).is_file(), f"{path.name}: {target}"
        assert not re.findall(r'href="[^":]+\.md"', path.read_text()), path.name


def test_messages_name_a_page_that_is_there() -> None:
    for name in ("config.md", "evaluation.md"):
        assert Path(page(name)).is_file()
