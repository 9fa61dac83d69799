"""What is stored once beside the task of a chat: its messages and tools, as MessagePack. No I/O."""

import msgspec

from xinflight.protocol import ChatContent

__all__ = ["decode_content", "encode_content"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ChatContent).decode


def encode_content(content: ChatContent) -> bytes:
    """Return the content as it is stored."""
    return _encode(content)


def decode_content(stored: bytes) -> ChatContent:
    """Return the content that was stored; raise msgspec.DecodeError where it is damaged."""
    return _decode(stored)
