"""`saco card`: counts, digests, the paragraph; `saco history` and `status --reasons`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from saco_data.model.errors import UsageError
from saco_data.share import card
from saco_data.share.paragraph import format_share, write_paragraph
from tests.conftest import Saco
from tests.helpers.annotations import annotate
from tests.helpers.folders import config
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset, pairs


def prepare_copy(folder: Path, *lost: str, **keys: Any) -> TinySubset:
    small = TinySubset(folder, **keys)
    small.holds(set(NAMES) - set(lost))
    small.prepare()
    return small


def test_it_counts_kept_files_and_losses_by_reason(tmp_path: Path) -> None:
    small = prepare_copy(tmp_path, NAMES[4])
    made = card.make(small.settings, [SUBSET, "nga"])
    content = json.loads(card.write(small.settings, made).read_bytes())
    assert list(content["subsets"]) == [SUBSET]
    said = content["subsets"][SUBSET]
    assert said["files"] == {"total": 5, "kept": 4}
    assert said["image_nps"] == {"total": 10, "kept": 8, "usable": 8}
    assert said["masks"] == {"total": 5, "kept": 4, "usable": 4}
    assert (said["losses"], said["unfinished"]) == ({"not_in_archive": 1}, {})
    assert content["complete"] and content["software"]["saco-data"]
    pristine = small.settings.subset(SUBSET).pristine.read_bytes()
    assert said["annotation_sha256"] == hashlib.sha256(pristine).hexdigest()
    keep_list = (small.settings.silver / "card" / said["keep_list"]).read_bytes()
    assert keep_list.decode().splitlines() == sorted(NAMES[:4])
    # What `sha256sum` says of the file is what card and status say.
    assert hashlib.sha256(keep_list).hexdigest() == said["keep_list_sha256"]


def test_copies_with_the_same_files_have_the_same_digest(tmp_path: Path) -> None:
    lost = {"a": NAMES[1], "b": NAMES[1], "c": NAMES[2]}
    copies = [prepare_copy(tmp_path / copy, name) for copy, name in lost.items()]
    a, b, c = (card.make(copy.settings, [SUBSET]).sha256() for copy in copies)
    assert a == b != c


def test_the_paragraph_can_be_pasted(tmp_path: Path) -> None:
    text = write_paragraph(card.make(prepare_copy(tmp_path, NAMES[4]).settings, [SUBSET]))
    assert "\n" not in text
    for words in (
        "4 of 5 files are available, which covers 8 of 10 image-NPs (80 %) and 4 of 5 masks (80 %)",
        "bdd100k 80 % / 80 %",
        "bdd100k 1 (not_in_archive 1)",
    ):
        assert words in text
    assert "NOT complete" not in text and text.startswith(
        "SA-Co/Silver was prepared with saco-data"
    )


def test_coverage_counts_present_files_even_if_pruning_is_off(tmp_path: Path) -> None:
    small = prepare_copy(tmp_path, NAMES[4], update_annotation_bdd100k=False)
    assert small.kept() == set(NAMES)
    (said,) = card.make(small.settings, [SUBSET]).subsets.values()
    assert (said.image_nps, said.masks, len(said.names)) == ((10, 8), (5, 4), 4)


def test_a_share_below_all_is_never_100_percent() -> None:
    assert format_share((1_439_051, 1_439_050)) == "99.9 %"
    assert format_share((7, 7)) == "100 %"


def test_an_unfinished_copy_says_so_and_exits_3(tmp_path: Path, saco: Saco) -> None:
    small = TinySubset(tmp_path, gone_confirm_hours=24)
    small.holds(NAMES[:4])
    small.prepare()
    small.tar.write_bytes(b"")
    annotate(tmp_path, SUBSET, pairs(NAMES[2:]))
    with pytest.raises(UsageError, match="not the annotation file that was prepared"):
        card.make(small.settings, [SUBSET])
    small.product(NAMES[3]).unlink()
    small.prepare()
    ended = saco("card", "--to", "mine", cwd=tmp_path)
    assert ended.returncode == 3
    assert "NOT complete: 2 files" in ended.stdout
    assert (tmp_path / "mine" / "card.txt").read_text() == ended.stdout


def test_a_card_needs_a_prepared_subset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is prepared"):
        card.make(config(tmp_path, silver_path="silver"), [SUBSET])


def test_history_shows_past_and_present_states(tmp_path: Path, saco: Saco) -> None:
    small = prepare_copy(tmp_path, NAMES[4])
    small.holds(NAMES, version=1)
    small.sync()
    told = saco("history", NAMES[4], "--json", cwd=tmp_path)
    (story,) = json.loads(told.stdout)["items"]
    assert [each["reason"] for each in story["past"]] == ["not_in_archive"]
    assert (story["state"], story["attempts"], story["kind"]) == ("done", 2, "product")
    assert story["licence"] and story["origin"].endswith(NAMES[4])
    words = saco("history", NAMES[4][:12], cwd=tmp_path, TZ="Asia/Tokyo").stdout
    assert "not_in_archive: no such file in" in words and "(now)" in words
    # As in the report: UTC, wherever this is read.
    assert "first seen 2027-01-15 08:00 (all times are UTC)" in words
    several = saco("history", ".jpg", cwd=tmp_path)
    assert several.returncode == 2 and "several names are similar" in several.stderr
    none = saco("history", "nothing", cwd=tmp_path)
    assert none.returncode == 2 and "is not in the ledger" in none.stderr


def test_reasons_come_with_the_message_of_the_source(tmp_path: Path, saco: Saco) -> None:
    prepare_copy(tmp_path, NAMES[4])
    (why,) = json.loads(saco("status", "--reasons", "--json", cwd=tmp_path).stdout)["reasons"]
    assert (why["reason"], why["state"], why["count"]) == ("not_in_archive", "gone", 1)
    assert why["examples"][0]["file_name"] == NAMES[4]
    assert "no such file" in why["examples"][0]["detail"]
    shown = saco("status", "--reasons", cwd=tmp_path).stdout
    assert "bdd100k: 1 gone, not_in_archive" in shown
