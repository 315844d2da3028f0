"""The page: complete, small, and safe against text from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from saco_data.model import words
from saco_data.model.items import SubsetFacts
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.model.words import human
from saco_data.report import page
from saco_data.state.ledger import Ledger
from tests.conftest import Saco
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.report.conftest import HOSTILE, SAID, Silver

VOID = {"meta", "link", "img", "input", "br"}


class Reader(HTMLParser):
    """Reads a page: its elements, its text, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def html(silver: Silver) -> str:
    built = page.write(silver.settings, ("geode", "sav", "nga"))
    assert built.path == silver.settings.state / "report.html"
    return built.path.read_text("utf-8")


def test_all_sections_are_there(html: str) -> None:
    read = Reader(html)
    ids = {attributes.get("id") for _, attributes in read.elements}
    sections = {"coverage", "losses", "pictures", "files", "runs", "sizes", "licences"}
    assert sections <= ids
    text = " ".join("".join(read.text).split())
    for said in ("GeoDE", "CC BY 4.0", "Ramaswamy", "not in archive", "test", "not looked at yet"):
        assert said in text
    assert SAID in text
    assert len([each for each in read.all("svg") if each["role"] == "img"]) > 4
    assert all(each["aria-label"] for each in read.all("svg"))


def test_the_page_makes_no_network_request(html: str) -> None:
    read = Reader(html)
    for attributes in read.all("img"):
        assert attributes["src"].startswith("data:image/")
    assert not [each for each in read.all("script") if "src" in each]
    assert [each["href"] for each in read.all("link")] == ["data:,"]
    assert "@import" not in html and "url(" not in html
    policy = next(each["content"] for each in read.all("meta") if "http-equiv" in each)
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_the_policy_allows_only_the_page_s_own_script_and_style(html: str) -> None:
    policy = html[: html.index("<style>")]
    for kind in ("script", "style"):
        (own,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.S)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_text_from_outside_is_escaped(html: str) -> None:
    assert HOSTILE not in html and 'onerror="' not in html and SAID not in html
    read = Reader(html)
    assert not [each for each in read.all("img") if "onerror" in each]
    assert "\u202e" not in html
    shown = [each["data-text"] for each in read.all("li") if "card" in each.get("class", "")]
    assert any("</script>" in each for each in shown)


def test_each_picture_has_an_alternative_text(html: str) -> None:
    read = Reader(html)
    pictures = [each for each in read.all("img") if each.get("class") != "over"]
    assert pictures and all("masks of" in each["alt"] for each in pictures)
    assert all(each["alt"] == "" for each in read.all("img") if each.get("class") == "over")
    assert read.all("html")[0]["lang"] == "en"
    assert {"header", "main", "nav", "footer"} <= {tag for tag, _ in read.elements}
    for table in re.findall(r"<table.*?</table>", html, re.S):
        assert "<caption" in table and 'scope="col"' in table


def test_the_page_is_written_where_asked(silver: Silver, saco: Saco, tmp_path: Path) -> None:
    to = tmp_path / "deep" / "my page.html"
    done = saco("report", "geode", "--to", to, "--json", cwd=silver.folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"] == str(to) and told["bytes"] == to.stat().st_size
    assert told["pictures"] > 0 and told["rows"] == 6
    images = re.search(r'data-images="(.*?)"', to.read_text("utf-8"))
    assert images and (to.parent / images[1] / "geode").is_dir()


def test_a_page_about_nothing_says_so(tmp_path: Path) -> None:
    built = page.write(config(tmp_path), ("geode", "sav"))
    assert "Nothing has been prepared yet" in "".join(Reader(built.path.read_text()).text)
    assert built.pictures == built.rows == 0


def test_a_subset_without_annotation_file_still_shows_its_files(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with Ledger(settings.state) as ledger:
        ledger.record([Outcome("nga", "a.jpg", Reason.HTTP_404, "gone for good")])
        ledger.set_facts("nga", SubsetFacts(files=2))
    built = page.write(settings, ("nga",))
    text = "".join(Reader(built.path.read_text()).text)
    assert built.rows == 1 and "No pictures and phrases" in text and "gone for good" in text


def test_a_repaired_annotation_file_is_shown_with_a_note(tmp_path: Path) -> None:
    settings = config(tmp_path)
    content = json.dumps(document(image(0, "a.jpg", text_input="cafe"))).encode()
    annotate(tmp_path, "nga", content.replace(b"cafe", b"caf\xe9"))
    with Ledger(settings.state) as ledger:
        ledger.set_facts("nga", SubsetFacts(files=1))
    built = page.write(settings, ("nga",))
    text = "".join(Reader(built.path.read_text()).text)
    assert built.rows == 1 and "holds 1 × a byte that is not UTF-8" in text


def test_changes_of_a_run_are_shown_in_either_form(tmp_path: Path) -> None:
    settings = config(tmp_path)
    annotate(tmp_path, "nga", document(image(0, "a.jpg")))
    with Ledger(settings.state) as ledger:
        ledger.set_facts("nga", SubsetFacts(files=1))
        ledger.end_run(ledger.begin_run("prepare nga"), 3, {"nga": {"timeout": 2, "ok": 0}})
        sync = {"returned": ["a.jpg"], "gone": {"b.jpg": "http_410"}, "annotations": {"before": ""}}
        ledger.end_run(ledger.begin_run("sync nga"), 0, {"nga": sync})
        ledger.begin_run("prepare nga")
    text = "".join(Reader(page.write(settings, ("nga",)).path.read_text()).text)
    for said in ("2 timeout", "1 returned", "1 http 410", "annotation file changed"):
        assert said in text
    assert "did not end" in text and "incomplete, run again" in text


def test_shares_are_whole_only_when_nothing_is_missing() -> None:
    assert words.percent(1, 1) == "100 %" and words.percent(0, 5) == "0 %"
    assert words.percent(99_999, 100_000) == "99.9 %"
    assert words.percent(1, 1_000_000) == "<0.01 %"
    assert words.percent(1, 0) == "–"


def test_sizes_and_times_are_for_people() -> None:
    assert (human(0), human(999), human(1500)) == ("0 B", "999 B", "1.5 kB")
    assert (human(123_456_789), human(999_700)) == ("123 MB", "1.0 MB")
    assert (words.lasting(0.4), words.lasting(59), words.lasting(600)) == (
        "0 s",
        "59 s",
        "10 min 00 s",
    )
    assert (words.lasting(3600), words.lasting(200_000)) == ("1 h 00 min", "2 d 7 h")
