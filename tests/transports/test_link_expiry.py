"""When signed links run out, in every way that the stores write it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.transports.link_expiry import expiry, when

MOMENT = 1_900_000_000
_POLICY = json.dumps(
    {"Statement": [{"Condition": {"DateLessThan": {"AWS:EpochTime": MOMENT}}, "a": "?>~"}]}
)
POLICY = base64.b64encode(_POLICY.encode()).decode().translate(str.maketrans("+=/", "-_~"))


@pytest.mark.parametrize(
    "query",
    [
        f"Expires={MOMENT}&Signature=abc&Key-Pair-Id=K",
        f"AWSAccessKeyId=A&Signature=b&Expires={MOMENT}",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20300317T164640Z&X-Amz-Expires=3600",
        "X-Goog-Date=20300317T164640Z&X-Goog-Expires=3600&X-Goog-Signature=a",
        f"oh=00_AYB&oe={MOMENT:X}&_nc_sid=1",
        f"oe={MOMENT:x}",
        f"Policy={POLICY}&Signature=abc",
        f"Expires={MOMENT}&oe=FFFFFFFF",
    ],
)
def test_every_store_is_understood(query: str) -> None:
    assert expiry(f"https://cdn.example/videos_fps_6.tar?{query}") == MOMENT


@pytest.mark.parametrize(
    "query",
    [
        "",
        "Expires=soon",
        "Expires=0",
        "X-Amz-Date=20301399T000000Z&X-Amz-Expires=60",
        "X-Amz-Expires=60",
        "oe=zzzzzzzz",
        "Policy=%%%",
        "Policy=e30_",
    ],
)
def test_a_link_that_does_not_say_has_no_end(query: str) -> None:
    assert expiry(f"https://cdn.example/a.tar?{query}") is None


@given(st.text())
def test_nothing_that_is_written_there_ends_the_program(text: str) -> None:
    for url in (text, f"https://a/?Policy={text}&oe={text}&Expires={text}"):
        found = expiry(url)
        assert found is None or when(found).endswith("UTC")
