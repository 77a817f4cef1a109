"""Turns values into messages and back, and is surprised by nothing that a message may hold.

Reading is total: whatever the other side sent becomes a value, or a `Malformed` that says what is
wrong with it, or None where it is of a kind that this version does not know. Where a field cannot
be understood, the reading that serves less wins: an unknown state waits, a broken address is no
address, a broken held session is left out.
"""

from rolecall_proto.codec.fields import Malformed, decode_address
from rolecall_proto.codec.requests import (
    MAX_HELD,
    MAX_QUESTIONS,
    decode_confirm,
    decode_confirmations,
    decode_hello,
    decode_question,
    decode_resolutions,
    encode_hello,
    encode_question,
    encode_resolutions,
)
from rolecall_proto.codec.updates import decode_update, encode_update, encode_updates

__all__ = [
    "MAX_HELD",
    "MAX_QUESTIONS",
    "Malformed",
    "decode_address",
    "decode_confirm",
    "decode_confirmations",
    "decode_hello",
    "decode_question",
    "decode_resolutions",
    "decode_update",
    "encode_hello",
    "encode_question",
    "encode_resolutions",
    "encode_update",
    "encode_updates",
]
