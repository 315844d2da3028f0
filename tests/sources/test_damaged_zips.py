"""Zips with damaged members or directories: one member, or a refusal in words."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from saco_data.engine.subset import bind_one
from saco_data.model.finding import Verdict
from saco_data.model.reasons import Reason
from tests.helpers.annotations import annotate
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, prepare
from tests.helpers.tiny_subset import NAMES, PICTURES, SUBSET, TinySubset, pairs

CASES = Path(__file__).parents[1] / "data" / "cases"
METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def packed(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in NAMES:
            archive.writestr(f"bdd100k/images/100k/train/{name}", PICTURES[name])
    return buffer.getvalue()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("at", [0, 5, 40, 200])
def test_a_damaged_member_costs_itself(tmp_path: Path, method: str, at: int) -> None:
    small = TinySubset(tmp_path)
    content = bytearray(packed(METHODS[method]))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        info = archive.infolist()[1]
    start = info.header_offset + 30 + len(info.filename.encode()) + min(at, info.compress_size - 20)
    content[start : start + 16] = bytes(255 - each for each in content[start : start + 16])
    small.tar.write_bytes(content)
    assert small.prepare().code == 3
    reasons = {name: item.reason for name, item in items(small.settings, SUBSET).items()}
    assert reasons.pop(NAMES[1]) is Reason.ARCHIVE_DAMAGED
    assert set(reasons.values()) == {Reason.OK}


@pytest.mark.parametrize("case", ["damaged_member_lzma", "damaged_member_bzip2"])
def test_the_cases(tmp_path: Path, case: str) -> None:
    (tmp_path / "annotations").mkdir()
    shutil.copy(CASES / "silver_bdd100k_merged_test.json", tmp_path / "annotations")
    settings = config(tmp_path, bdd100k_raw=str(CASES / f"{case}.zip"))
    assert prepare(settings, SUBSET) == 3
    reasons = sorted(item.reason for item in items(settings, SUBSET).values())
    assert reasons == [Reason.ARCHIVE_DAMAGED, Reason.OK, Reason.OK]


@pytest.mark.parametrize("content", ["no entries", "cut"])
def test_a_zip_without_members_is_refused_in_words(tmp_path: Path, content: str) -> None:
    annotate(tmp_path, SUBSET, pairs(NAMES))
    path = tmp_path / "b.zip"
    whole = (CASES / "no_entries.zip").read_bytes()
    path.write_bytes(whole if content == "no entries" else packed(0)[:-30])
    settings = config(tmp_path, bdd100k_raw="b.zip")
    notes = Notes()
    assert prepare(settings, SUBSET, notes=notes) in ((4,) if content == "no entries" else (3, 4))
    assert str(path) in " ".join(notes.lines)
    source = bind_one(settings, SUBSET).source
    assert "zip" in source.missing_requirement()  # what `plan` tells
    assert [each.verdict for each in source.diagnose()] == [Verdict.FAIL]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["name", "first entry", "middle entry", "last entry"])
def test_what_a_damaged_directory_hides_is_not_gone(tmp_path: Path, method: str, how: str) -> None:
    small = TinySubset(tmp_path)
    content = packed(METHODS[method])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start, entries = archive.start_dir, archive.infolist()
    size = 46 + len(entries[0].filename)
    directory = [content[start + size * n : start + size * (n + 1)] for n in range(len(entries))]
    hidden = {"first entry": 0, "last entry": len(entries) - 1}.get(how, 2)
    if how == "name":
        directory[hidden] = directory[hidden].replace(NAMES[hidden][:4].encode(), b"0x0x")
    else:
        del directory[hidden]
    joined = b"".join(directory)
    count = len(directory).to_bytes(2, "little")
    end = b"PK\x05\x06" + bytes(4) + count + count + len(joined).to_bytes(4, "little")
    end += start.to_bytes(4, "little") + bytes(2)
    small.tar.write_bytes(content[:start] + joined + end)
    assert small.prepare().code == 4
    reasons = {name: item.reason for name, item in items(small.settings, SUBSET).items()}
    assert reasons.pop(NAMES[hidden]) is Reason.RAW_UNUSABLE
    assert set(reasons.values()) == {Reason.OK}
