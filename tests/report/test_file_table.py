"""The table of files: compact, complete, and shortened in a known order above its limit."""

from __future__ import annotations

import base64
import gzip
import json
import random
from pathlib import Path
from typing import Any

from saco_data.dataset import pairs
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.report import gallery, rendering
from saco_data.report.file_table import FileTable
from saco_data.state.ledger import Ledger
from tests.helpers.annotations import document, image


def unpacked(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
    return content


def filled(folder: Path, files: int) -> FileTable:
    """Rows of files with a positive and four negative phrases each; every tenth is gone."""
    names = [f"{number:05d}.jpg" for number in range(files)]
    images = [
        image(5 * at + phrase, name, text_input=f"phrase {phrase * files + at}")
        for at, name in enumerate(names)
        for phrase in range(5)
    ]
    masks = [{"id": at, "image_id": images[5 * at]["id"]} for at in range(files)]
    path = folder / "annotations.json"
    path.write_text(json.dumps(document(*images, masks=masks)))
    with Ledger(folder) as ledger:
        ledger.record(
            Outcome("nga", name, Reason.OK if at % 10 else Reason.HTTP_404, bytes=at)
            for at, name in enumerate(names)
        )
        rows = FileTable()
        rows.add("nga", pairs.read(path), ledger.items("nga"))
    return rows


def test_every_file_is_there_with_its_phrases(tmp_path: Path) -> None:
    text, left_out = filled(tmp_path, 50).pack(10**6)
    rows = unpacked(text)
    assert left_out == ""
    assert len(rows["name"]) == 50
    said = [rows["reasons"][each] for each in rows["reason"]]
    assert said.count(["http_404", "gone"]) == 5 and said.count(["ok", "done"]) == 45
    assert [rows["texts"][each] for each in rows["positive"][7]] == ["phrase 7"]
    assert {rows["texts"][each] for each in rows["negative"][7]} == {
        f"phrase {number * 50 + 7}" for number in (1, 2, 3, 4)
    }


def test_addresses_at_the_source_are_there_without_secrets_and_archives(tmp_path: Path) -> None:
    origins = {
        "a.jpg": "https://example.org/a.jpg?token=secret",
        "b.jpg": "https://example.org/all.tar.gz",
        "c.jpg": "/disk/all.tar",
    }
    with Ledger(tmp_path) as ledger:
        ledger.record(
            Outcome("nga", name, Reason.OK, origin=origin) for name, origin in origins.items()
        )
        rows = FileTable()
        rows.add("nga", None, ledger.items("nga"), other={"a.jpg"})
    read = unpacked(rows.pack(10**6)[0])
    found = dict(zip(read["name"], zip(read["origin"], read["there"], strict=True), strict=True))
    assert found["a.jpg"][0].startswith("https://example.org/a.jpg") and found["a.jpg"][1]
    assert "secret" not in found["a.jpg"][0]
    assert found["b.jpg"] == found["c.jpg"] == ("", False)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = filled(tmp_path, 20)
    assert rows.pack(10**6) == rows.pack(10**6)


def test_above_the_limit_rows_are_left_out_in_a_known_order(tmp_path: Path) -> None:
    rows = filled(tmp_path, 400)
    whole = len(rows.pack(10**6)[0])
    text, left_out = rows.pack(whole - 1)
    assert len(unpacked(text)["name"]) == 400 and "negative phrases" in left_out
    assert set(unpacked(text)["negatives"]) == {4} and unpacked(text)["negative"][0] == []
    text, left_out = rows.pack(whole // 8)
    kept = unpacked(text)
    assert len(text) <= whole // 8 and f"{400 - len(kept['name'])} files" in left_out
    # What is not done is what must be seen.
    assert [kept["reasons"][each][1] for each in kept["reason"]].count("gone") == 40


def test_fifty_thousand_files_with_thirty_phrases_fit_whole_into_a_page() -> None:
    chance = random.Random(0)
    rows, files = FileTable(texts={f"a phrase of some words {n}": n for n in range(4000)}), 50_000
    rows.subset = ["inaturalist"] * files
    rows.name = [f"{chance.getrandbits(64):016x}.jpg" for _ in range(files)]
    rows.reason, rows.detail = [1] * files, [0] * files
    rows.bytes = [chance.randrange(10**6) for _ in range(files)]
    rows.since = [1_790_000_000 + at // 3 for at in range(files)]
    site = "https://inaturalist-open-data.s3.amazonaws.com/photos"
    rows.origin = [f"{site}/{chance.randrange(10**8)}/original.jpg" for _ in range(files)]
    rows.there = [chance.random() > 0.1 for _ in range(files)]
    rows.positive = [[chance.randrange(4000)] for _ in range(files)]
    rows.negative = [chance.choices(range(4000), k=29) for _ in range(files)]
    text, left_out = rows.pack(rendering.LIMIT - rendering.OVERHEAD - gallery.BUDGET)
    assert left_out == ""
    assert len(text) + gallery.BUDGET + rendering.OVERHEAD < 20_000_000
