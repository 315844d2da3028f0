"""`report`, `preview`, `card`, `eval` and Python read exactly what `prepare` reads."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

import saco_data as saco
from saco_data.config.settings import load
from saco_data.model.errors import AnnotationError, ConfigError, DiskTrouble
from saco_data.report import page, preview
from saco_data.share import card
from saco_data.transports.http.part import Part
from tests.helpers.annotations import annotate
from tests.helpers.folders import config
from tests.helpers.pictures import plain_jpeg
from tests.helpers.pipeline import prepare

CASES = Path(__file__).parents[1] / "data" / "cases"


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("case", sorted(p.stem for p in (CASES / "annotations").iterdir()))
def test_all_commands_read_what_prepare_reads(tmp_path: Path, case: str, gone: bool) -> None:
    content = (CASES / "annotations" / f"{case}.json").read_bytes()
    # `eval` counts masks: theirs becomes one of a single pixel.
    annotate(tmp_path, "bdd100k", content.replace(b"PPYo1", b"01oo2"))
    settings = config(tmp_path, silver_path="silver", bdd100k_raw="raw")
    folder = tmp_path / "raw" / "100k" / "train"
    folder.mkdir(parents=True)
    index = settings.subset("bdd100k")
    from saco_data.dataset.index import read

    names = list(read(index.pristine, index.manifest).products)
    for name in names[1:] if gone and len(names) > 1 else names:
        (folder / name).write_bytes(plain_jpeg(64, 48))
    code = prepare(settings, "bdd100k")
    assert code in ((0, 4) if case == "control_characters_in_names" else (0,))
    json.loads(index.derived.read_bytes().decode("utf-8"))
    written = page.write(settings, ["bdd100k"])
    written.path.read_bytes().decode("utf-8")
    preview.draw(settings, "bdd100k")
    card.write(settings, card.make(settings, ["bdd100k"]))
    (settings.silver / "card" / "card.json").read_bytes().decode("utf-8")
    dataset = saco.load(settings.silver)["bdd100k"]
    assert len(dataset) >= 1
    (tmp_path / "found.json").write_text("[]")
    if case == "invalid_utf8_in_counts":  # no mask, however it is read
        with pytest.raises(AnnotationError, match="a mask of image id"):
            saco.evaluate(tmp_path / "found.json", dataset, jobs=1)
        return
    (block,) = saco.evaluate(tmp_path / "found.json", dataset, jobs=1).subsets.values()
    assert 1 <= block.coverage.image_nps[0] <= block.coverage.image_nps[1]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("case", sorted(p.name for p in (CASES / "configs").iterdir()))
def test_the_cases_of_configs(case: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(CASES / "configs" / case)
    assert f"{case}:" in str(told.value)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_under_the_config_is_no_fault_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*arguments: object, **options: object) -> str:
        raise OSError(number, os.strerror(number))

    (tmp_path / "C.yaml").write_text("jobs: 1\n")
    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(DiskTrouble, match="Run again"):
        load(tmp_path / "C.yaml")


def test_the_case_of_a_note(tmp_path: Path) -> None:
    part = Part(tmp_path / "a", "URL")
    part.note.write_bytes((CASES / "part.json").read_bytes())
    part.load(vouched=True)
    assert not part.resumed
