"""A JSON array in slices holds the same entries, however it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.evaluation import json_slices
from saco_data.evaluation.json_slices import NotAnArray, reader_of, slices

VALUES = st.recursive(
    st.none() | st.integers() | st.text('}{,[]\\" a'), lambda inner: st.lists(inner, max_size=3)
)
ENTRIES = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=30)


@given(ENTRIES, st.sampled_from([None, 1, "\t"]), st.sampled_from([7, 50, 1000]))
def test_the_same_entries_or_a_slice_that_is_not_json(entries: Any, indent: Any, size: int) -> None:
    text = json.dumps(entries, indent=indent).encode()
    whole = json_slices.SLICE
    json_slices.SLICE = size
    try:
        found: list[Any] = []
        for each in slices(reader_of(text)):
            found += json.loads(bytes(each))
        assert found == entries
    except json.JSONDecodeError:
        assert "}" in "".join(str(v) for each in entries for v in each.values())
    finally:
        json_slices.SLICE = whole


@pytest.mark.parametrize("text", [b"{}", b"", b"[{}", b"null"])
def test_what_is_not_an_array(text: bytes) -> None:
    with pytest.raises(NotAnArray):
        list(slices(reader_of(text)))
