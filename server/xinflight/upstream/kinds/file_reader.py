"""Read a file that is a string in a JSON response, decoding its base64 as it arrives. No I/O."""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from xinflight.errors import UpstreamGarbage
from xinflight.upstream.kinds.kind import Piece
from xinflight.upstream.messages import parse

__all__ = ["OPENAI", "SDAPI", "FileReader", "FileShape"]

AROUND_BYTES = 64 * 2**10
"""Maximum size of the response without its file; real ones have about 60 bytes."""

# Three times as fast as binascii, and as strict.
_decode = msgspec.json.Decoder(bytes).decode


class FileShape(NamedTuple):
    """Where the file is in a response: after the first match of `begin`.

    `files` decodes the response without the content of that file, and returns all its files.
    """

    begin: re.Pattern[bytes]
    files: Callable[[bytes], list[str]]


class _OpenAiFile(Struct):
    b64_json: str


class _OpenAiAnswer(Struct):
    data: list[_OpenAiFile]


class _SdapiAnswer(Struct):
    images: list[str]


OPENAI = FileShape(
    re.compile(rb'"b64_json"\s*:\s*"'), lambda answer: [file.b64_json for file in parse(answer, _OpenAiAnswer).data]
)
"""POST /v1/images/... and /v1/video/... with b64_json."""
SDAPI = FileShape(re.compile(rb'"images"\s*:\s*\[\s*"'), lambda answer: parse(answer, _SdapiAnswer).images)
"""POST /sdapi/v1/txt2img and img2img."""


class FileReader:
    """Reads a response with one file.

    Decoded as a whole, a file of 4 MB would hold up the event loop for 10 ms, from whatever thread, and be in memory
    three times.
    """

    over = False
    """Never: the connection can be used again once the response is read to its end."""

    def __init__(self, shape: FileShape) -> None:
        self._shape = shape
        self._around = bytearray()
        self._file: list[bytes] = []
        # The last characters, of which four are three bytes.
        self._rest = b""
        self._begun = self._padded = self._ended = False

    def feed(self, data: bytes) -> list[Piece]:
        """Decode the next bytes of the response; there is no text in it. Raises UpstreamGarbage."""
        if not self._begun:
            self._around += data
            begin = self._shape.begin.search(self._around)
            if begin is not None:
                self._begun = True
                data = bytes(self._around[begin.end() :])
                del self._around[begin.end() :]
        if self._begun and not self._ended:
            content, quote, after = data.partition(b'"')
            self._ended = bool(quote)
            self._decode(content)
            self._around += quote + after
        elif self._ended:
            self._around += data
        if len(self._around) > AROUND_BYTES:
            raise UpstreamGarbage(detail="a response with much beside its file")
        return []

    def end(self) -> bytes:
        """Return the file; raise UpstreamGarbage if the response has no or an incomplete one."""
        files = self._shape.files(bytes(self._around))
        if files != [""] or not self._file:
            raise UpstreamGarbage(detail=f"a response with {len(files)} files, {len(self._file)} parts of the first")
        return b"".join(self._file)

    def _decode(self, content: bytes) -> None:
        content = self._rest + content
        whole = len(content) if self._ended else len(content) - len(content) % 4
        content, self._rest = content[:whole], content[whole:]
        if not content:
            return
        if self._padded:
            raise UpstreamGarbage(detail="a file that goes on after its end")
        if b"\\" in content:
            # An escape would be read or not, depending on where the pieces end.
            raise UpstreamGarbage(detail="a file that is no base64: it has an escape")
        self._padded = content.endswith(b"=")
        try:
            self._file.append(_decode(b'"%b"' % content))
        except (msgspec.DecodeError, UnicodeError) as error:
            raise UpstreamGarbage(detail=f"a file that is no base64: {error}") from None
