"""Which pictures a page shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from saco_data.dataset import pairs
from saco_data.report import gallery
from saco_data.report.gallery import Gallery
from saco_data.report.measures import measure
from tests.report.conftest import Silver


def shown(silver: Silver, budget: int = 10**7) -> Gallery:
    settings = silver.settings
    content = pairs.read(settings.subset("geode").pristine)
    ready = {path.name for path in settings.subset("geode").images.iterdir()}
    made = Gallery()
    gallery.add(made, "geode", settings.subset("geode").images, content, ready, budget)
    return made


def test_positives_negatives_and_worst_are_shown_and_the_same_each_time(silver: Silver) -> None:
    made = shown(silver)
    assert {bool(card.annotated) for card in made.random} == {True, False}
    assert all(card.picture.startswith("data:image/jpeg;base64,") for card in made.random)
    assert all(bool(card.over) == bool(card.drawn) for card in made.random + made.notable)
    kinds = {each.split(":")[0] for card in made.notable for each in card.notable}
    assert kinds == {"smallest mask", "largest mask", "lowest contrast", "least sharp"}
    assert made == shown(silver)


def test_a_damaged_mask_is_named_and_skipped(silver: Silver) -> None:
    made = shown(silver)
    said = [what for _, _, what in made.damaged]
    assert len(said) == 1 and f"annotation {silver.damaged}" in said[0]
    cards = {(card.file_name, card.phrase): card for card in made.random + made.notable}
    assert any(card.drawn < card.annotated for card in cards.values())


def test_the_budget_of_bytes_is_kept_and_the_worst_come_first(silver: Silver) -> None:
    made = shown(silver, budget=20_000)
    assert made.notable and sum(card.weight for card in made.notable + made.random) <= 20_000
    assert len(made.random) < len(shown(silver).random)


def test_a_picture_that_is_lost_or_broken_is_named(silver: Silver, tmp_path: Path) -> None:
    content = pairs.read(silver.settings.subset("geode").pristine)
    name = content.pairs[0].file_name
    made = Gallery()
    gallery.add(made, "geode", tmp_path, content, {name}, 10**7)
    assert not made.random and "No such file" in next(iter(made.damaged))[2]
    (tmp_path / name).write_bytes(b"\xff\xd8 not really")
    made = Gallery()
    gallery.add(made, "geode", tmp_path, content, {name}, 10**7)
    assert not made.random and "no picture" in next(iter(made.damaged))[2]


def test_measures_say_what_they_measure() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    picture = Image.fromarray(noise)
    mask = np.zeros((120, 160), bool)
    mask[30:90, 40:80] = True
    sharp = measure(picture, [mask])
    assert sharp.area == pytest.approx(0.125)
    assert measure(picture.filter(ImageFilter.GaussianBlur(3)), [mask]).sharpness < sharp.sharpness
    noise[mask] = (255, 0, 0)
    assert (measure(Image.fromarray(noise), [mask]).contrast or 0) > 10 * (sharp.contrast or 0)
    assert measure(picture, [np.ones((120, 160), bool)]).contrast is None
