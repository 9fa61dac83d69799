"""Which media type and which language a request prefers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinflight.negotiation import preferred_type, weights

JSON, SSE, NDJSON = "application/json", "text/event-stream", "application/x-ndjson"
OFFERED = (JSON, SSE, NDJSON)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], {}),
        (["", " , "], {}),
        (["a, b;q=0.5", "C ; Q=0.2"], {"a": 1.0, "b": 0.5, "c": 0.2}),
        (["a;level=1;q=0.3, a"], {"a": 0.3}),
        (["a;q=, b;q=x, c;q=-1, d;q=2, e;q=nan, f;q=inf, g;q=1e999"], dict.fromkeys("abcdefg", 0.0)),
        (["a;q"], {"a": 0.0}),
    ],
)
def test_weights(values: list[str], found: dict[str, float]) -> None:
    assert weights(values) == found


@given(st.lists(st.text()))
def test_weights_of_anything(values: list[str]) -> None:
    assert all(0.0 <= weight <= 1.0 and not math.isnan(weight) for weight in weights(values).values())


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ([], JSON),
        (["*/*"], JSON),
        (["text/*"], SSE),
        ([f"{NDJSON}, {SSE}"], NDJSON),
        ([f"{NDJSON};q=0.5, {SSE}"], SSE),
        (["application/*;q=0.2", f"{NDJSON};q=0.9"], NDJSON),
        ([f"*/*, {JSON};q=0"], SSE),
        (["image/png"], None),
        (["*/*;q=0"], None),
    ],
)
def test_media_types(accept: list[str], chosen: str | None) -> None:
    assert preferred_type(accept, OFFERED) == chosen
