"""The parts that messages have in common: times, addresses, texts, and what is wrong with one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address

from google.protobuf.timestamp_pb2 import Timestamp

from rolecall_proto.values import Address, plain

_MAX_ADDRESS = 45  # The longest text of an IPv6 address.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that cannot be used; *problem* is constant text, safe to log and to send back."""

    problem: str


def encode_moment(moment: datetime) -> Timestamp:
    seconds, rest = divmod(moment - _EPOCH, _SECOND)
    return Timestamp(seconds=seconds, nanos=rest // _MICROSECOND * 1000)


def encode_optional_moment(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else encode_moment(moment)


def decode_moment(stamp: Timestamp) -> datetime | None:
    """Read a time, to the microsecond below; None where it was not sent or is none."""
    # A stamp that was not sent reads as the epoch, and nothing of ours ends or began then.
    if stamp.seconds <= 0 or not 0 <= stamp.nanos < _NANOS:
        return None
    try:
        return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError:
        return None


def decode_address(text: str) -> Address | None:
    """Read an address; None where *text* is none, or has a zone. `::ffff:a.b.c.d` is a.b.c.d."""
    if len(text) > _MAX_ADDRESS:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    return plain(address)


def encode_text(text: str) -> str:
    # A lone surrogate cannot be sent, and one strange name must not end the stream of a whole node.
    return text if text.isascii() else text.encode(errors="replace").decode()
