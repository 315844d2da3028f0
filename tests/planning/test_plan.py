"""Every decision of the plan, from its arguments alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saco_data.model.items import Item
from saco_data.model.reasons import Reason
from saco_data.model.records import Product
from saco_data.planning import plan
from saco_data.planning.decisions import Decision
from saco_data.planning.view import View
from saco_data.storage.names import UnsafeName


def item(name: str, reason: Reason, size: int | None = 5, **facts: str) -> Item:
    return Item("nga", name, False, reason, "", "", size, None, dict(facts), 0, 0, 0, 1)


def view(**changes: object) -> View:
    base = View(
        items={},
        sizes={},
        key_of=lambda product: product.video or product.file_name,
        check_name=lambda product: None,
        raw_at_hand=lambda key: False,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


ONE = Product("a.jpg", 10, 10)


def decision(look: View, product: Product = ONE) -> Decision:
    (step,) = plan.make("nga", [product], look).steps
    return step.decision


def test_nothing_known_is_fetched() -> None:
    assert decision(view()) is Decision.FETCH


def test_done_and_on_disk_is_kept() -> None:
    known = {"a.jpg": item("a.jpg", Reason.OK)}
    assert decision(view(items=known, sizes={"a.jpg": 5})) is Decision.KEEP


@pytest.mark.parametrize("sizes", [{}, {"a.jpg": 4}])
def test_done_but_lost_or_changed_is_made_again(sizes: dict[str, int]) -> None:
    known = {"a.jpg": item("a.jpg", Reason.OK)}
    assert decision(view(items=known, sizes=sizes)) is Decision.FETCH


def test_on_disk_but_unknown_is_verified_first() -> None:
    assert decision(view(sizes={"a.jpg": 5})) is Decision.ADOPT


def test_on_disk_but_unknown_is_compared_where_the_raw_is_at_hand() -> None:
    look = view(sizes={"a.jpg": 5}, raw_at_hand=lambda key: True)
    assert decision(look) is Decision.PROCESS


def test_gone_rests_until_a_sync_looks_again() -> None:
    known = {"a.jpg": item("a.jpg", Reason.HTTP_404)}
    assert decision(view(items=known)) is Decision.REST
    assert decision(view(items=known, look_again=lambda each: True)) is Decision.FETCH


def test_gone_holds_only_for_the_location_that_said_so() -> None:
    known = {"a.jpg": item("a.jpg", Reason.NOT_IN_ARCHIVE, place="old.zip")}
    assert decision(view(items=known, location="old.zip")) is Decision.REST
    assert decision(view(items=known, location="new.zip")) is Decision.FETCH


@pytest.mark.parametrize("reason", [Reason.NETWORK, Reason.THROTTLED, Reason.NOT_IN_FOLDER])
def test_failed_and_blocked_are_tried_again(reason: Reason) -> None:
    assert decision(view(items={"a.jpg": item("a.jpg", reason)})) is Decision.FETCH


def test_an_unsafe_name_is_refused_with_its_reason() -> None:
    def refuse(product: Product) -> None:
        raise UnsafeName("no")

    (step,) = plan.make("nga", [ONE], view(check_name=refuse)).steps
    assert step.outcome and step.outcome.reason is Reason.UNSAFE_NAME


@pytest.mark.parametrize("frame", [None, -1])
def test_a_frame_without_its_index_is_refused_not_guessed(frame: int | None) -> None:
    product = Product("v/1.jpg", 1, 1, "v.mp4", frame)
    (step,) = plan.make("sav", [product], view(frames=True)).steps
    assert step.outcome and step.outcome.reason is Reason.NO_FRAME_INDEX


def test_a_frame_without_its_video_is_refused_not_pruned() -> None:
    (step,) = plan.make("sav", [Product("v/1.jpg", 1, 1, None, 1)], view(frames=True)).steps
    assert step.outcome and step.outcome.reason is Reason.NO_FRAME_INDEX
    assert "original_video" in step.outcome.detail


@pytest.mark.parametrize("reason", [Reason.HTTP_404, Reason.PRODUCT_LOST, Reason.WRONG_DIGEST])
def test_a_file_made_for_another_frame_is_not_adopted(reason: Reason) -> None:
    product = Product("v/1.jpg", 1, 1, "v.mp4", 7)
    for frame, expected in ((7, Decision.ADOPT), (8, Decision.FETCH)):
        was = replace(item("v/1.jpg", reason), facts={"video": "v.mp4", "frame": frame})
        look = view(items={"v/1.jpg": was}, sizes={"v/1.jpg": 5}, look_again=lambda each: True)
        assert decision(look, product) is expected


def test_a_video_is_fetched_for_its_missing_frames_only() -> None:
    frames = [Product(f"v/{n}.jpg", 1, 1, "v.mp4", n) for n in range(3)]
    known = {"v/1.jpg": item("v/1.jpg", Reason.OK)}
    made = plan.make("sav", frames, view(items=known, sizes={"v/1.jpg": 5}))
    (asset,) = made.assets(Decision.FETCH)
    assert [product.file_name for product in asset.products] == ["v/0.jpg", "v/2.jpg"]
    assert made.products(Decision.KEEP) == 1
