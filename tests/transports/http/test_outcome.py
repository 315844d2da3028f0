"""What answers mean, without a network."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.http.addresses import origin_of
from saco_data.transports.http.outcome import refusal, retry_after, words_of
from saco_data.transports.http.spans import first_gap, join

HERE = URL("https://a.example/x.jpg")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("1.5", 1.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=1445412420) == seconds


@given(st.text())
def test_retry_after_survives_anything(value: str) -> None:
    assert (retry_after(value) or 0) >= 0


@pytest.mark.parametrize(
    ("status", "body", "asked", "reason"),
    [
        (403, b"", "https://a.example/x", Reason.UNAUTHORIZED),
        (403, b"", "https://a.example/x?X-Amz-Signature=1", Reason.LINK_EXPIRED),
        (403, b"", "https://a.example/x?oh=1&oe=2", Reason.LINK_EXPIRED),
        (
            403,
            b"<Message>Request has expired</Message>",
            "https://a.example/x",
            Reason.LINK_EXPIRED,
        ),
        (400, b"<Code>ExpiredToken</Code>", "https://a.example/x", Reason.LINK_EXPIRED),
        (403, b"URL signature expired", "https://a.example/x", Reason.LINK_EXPIRED),
        (400, b"bad", "https://a.example/x?sig=1", Reason.HTTP_ERROR),
        (451, b"", "https://a.example/x", Reason.HTTP_ERROR),
        (500, b"", "https://a.example/x", Reason.SERVER_ERROR),
        (408, b"", "https://a.example/x", Reason.SERVER_ERROR),
        (429, b"", "https://a.example/x", Reason.THROTTLED),
        (404, b"", "http://www.a.example/x", Reason.HTTP_404),
        (404, b"", "https://b.example/x", Reason.HTTP_ERROR),
    ],
)
def test_statuses(status: int, body: bytes, asked: str, reason: Reason) -> None:
    assert refusal(status, {}, body, URL(asked), HERE).reason is reason


def test_no_secret_in_words() -> None:
    token = "AKIA" + "Q" * 30
    said = words_of(f"<h1>No</h1> /x?sig=abc {token} denied".encode())
    assert "abc" not in said
    assert token not in said
    assert "denied" in said
    assert origin_of(URL("https://user:pw@a.example:8443/x?sig=1#f")) == "https://a.example:8443/x"


@given(st.binary())
def test_words_are_short_and_printable(body: bytes) -> None:
    said = words_of(body)
    assert len(said) <= 160
    assert said.isprintable()


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)))


@given(SPANS)
def test_spans_hold_what_was_added_and_gaps_the_rest(pairs: list[tuple[int, int]]) -> None:
    spans: list[tuple[int, int]] = []
    held: set[int] = set()
    for start, length in pairs:
        spans = join(spans, (start, start + length))
        held |= set(range(start, start + length))
    assert {byte for start, stop in spans for byte in range(start, stop)} == held
    assert all(a[1] < b[0] for a, b in pairwise(spans))
    while (found := first_gap(spans, 100)) is not None:
        start, end = found
        assert end is not None
        assert not held & set(range(start, end))
        held |= set(range(start, end))
        spans = join(spans, (start, end))
    assert held == set(range(100))
