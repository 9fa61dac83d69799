"""Read a large file that is a string in a JSON response, decoding its base64 as it arrives. No I/O."""

import binascii
import re

from msgspec import Struct

from xinflight.errors import UpstreamGarbage
from xinflight.upstream.kinds.kind import Piece
from xinflight.upstream.messages import parse

__all__ = ["FileReader"]

_BEGIN = re.compile(rb'"b64_json"\s*:\s*"')
AROUND_BYTES = 64 * 2**10
"""Maximum size of the response without its file; real ones have about 60 bytes."""


class _File(Struct):
    b64_json: str


class _Answer(Struct):
    """The response without the content of its file."""

    data: list[_File]


class FileReader:
    """Reads a response as `{"data": [{"b64_json": ...}]}` with one file.

    Decoded as a whole, a file of 20 MB would hold up the event loop for 100 ms, from whatever thread, and be in
    memory three times.
    """

    over = False
    """Never: the connection can be used again once the response is read to its end."""

    def __init__(self) -> None:
        self._around = bytearray()
        self._file: list[bytes] = []
        # The last characters, of which four are three bytes.
        self._rest = b""
        self._begun = self._padded = self._ended = False

    def feed(self, data: bytes) -> list[Piece]:
        """Decode the next bytes of the response; there is no text in it. Raises UpstreamGarbage."""
        if not self._begun:
            self._around += data
            begin = _BEGIN.search(self._around)
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
        files = parse(bytes(self._around), _Answer).data
        if len(files) != 1 or not self._file:
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
        self._padded = content.endswith(b"=")
        try:
            self._file.append(binascii.a2b_base64(content, strict_mode=True))
        except binascii.Error as error:
            raise UpstreamGarbage(detail=f"a file that is no base64: {error}") from None
