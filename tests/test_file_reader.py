"""The film in a response, decoded as it arrives in pieces of any size."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinflight.errors import UpstreamGarbage
from xinflight.upstream.kinds.file_reader import AROUND_BYTES, OPENAI, FileReader

FILM = bytes(range(256)) * 3


def body(file: bytes | str = FILM, **options: Any) -> bytes:
    text = file if isinstance(file, str) else base64.b64encode(file).decode()
    return json.dumps({"created": 1, "data": [{"url": None, "b64_json": text}]}, **options).encode()


def read(*pieces: bytes) -> bytes:
    reader = FileReader(OPENAI)
    for piece in pieces:
        assert reader.feed(piece) == []
        assert not reader.over
    return reader.end()


@given(st.binary(min_size=1, max_size=40), st.booleans(), st.lists(st.integers(0, 120), max_size=8))
def test_a_film_in_pieces(film: bytes, compact: bool, cuts: list[int]) -> None:
    whole = body(film, separators=(",", ":") if compact else None)
    at = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    assert read(*(whole[start:end] for start, end in pairwise(at))) == film


def test_a_film_byte_by_byte() -> None:
    assert read(*(bytes([byte]) for byte in body())) == FILM


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"<html>",
        b'{"data":[]}',
        b'{"data":[{"url":"/xinference/video/a.mp4","b64_json":null}]}',
        body(""),
        body("?" * 8),
        body("AAAA" * 10 + "A"),
        body("AA==AAAA"),
        body("AAAA\\n"),
        b'{"data":[{"b64_json":"A\\/AA"}]}',
        b'{"more":{"b64_json":"AAAA"},"data":[{"b64_json":"BBBB"}]}',
        b'{"data":[{"b64_json":"AAA="}],"data":[{"b64_json":"BBBB"}]}',
        body()[:-1],
        body()[:200],
        body() + b"x",
        b'{"data":[{"b64_json":"AAAA"},{"b64_json":"AAAA"}]}',
        b'{"data":{"b64_json":"AAAA"}}',
        b'{"created":"' + b"x" * AROUND_BYTES + b'"}',
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_what_is_no_film_is_garbage(response: bytes, size: int) -> None:
    with pytest.raises(UpstreamGarbage):
        read(*(response[at : at + size] for at in range(0, len(response), size)))


def test_padding_ends_a_film_wherever_the_pieces_are_cut() -> None:
    """Each piece alone would be whole."""
    with pytest.raises(UpstreamGarbage):
        read(b'{"data":[{"b64_json":"AA==', b'AAAA"}]}')
