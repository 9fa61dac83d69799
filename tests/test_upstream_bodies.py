"""Bodies of requests as they are sent: a parser of each side reads from them what was put in."""

from email import message_from_bytes
from email.policy import HTTP

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from xinflight.upstream.client import encode
from xinflight.upstream.http import Body
from xinflight.upstream.kinds import Form, FormFile


def test_json_is_encoded_once() -> None:
    body = encode({"prompt": "船", "image": b"\x00"})
    assert body == Body("application/json", '{"prompt":"船","image":"AA=="}'.encode())
    assert encode(body) is body


@given(st.text(), st.text(st.characters(codec="ascii")), st.binary(max_size=200))
def test_a_form_has_every_field_and_file_unchanged(prompt: str, size: str, image: bytes) -> None:
    form = Form(
        fields={"prompt": prompt, "size": size}, files={"image": FormFile(media_type="image/png", data=image)}
    )
    body = encode(form)
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    parts = list(message_from_bytes(head + body.data, policy=HTTP).iter_parts())
    assert [part["content-disposition"] for part in parts] == [
        'form-data; name="prompt"',
        'form-data; name="size"',
        'form-data; name="image"; filename="image"',
    ]
    boundary = body.content_type.partition("boundary=")[2].encode()
    # The parser of `email` changes line ends, so values are compared as they stand between the boundaries.
    pieces = [piece.partition(b"\r\n\r\n")[2] for piece in body.data.split(b"--" + boundary)[1:-1]]
    assert [piece.removesuffix(b"\r\n") for piece in pieces] == [prompt.encode(), size.encode(), image]
    assert parts[2].get_content_type() == "image/png"


def test_two_forms_have_different_boundaries() -> None:
    """Whoever could guess one could write a field of their own into a prompt."""
    form = Form(fields={"prompt": "a"}, files={})
    assert encode(form).content_type != encode(form).content_type
    assert msgspec.json.encode({}) == encode({}).data
