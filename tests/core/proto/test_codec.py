"""Nothing that can be sent surprises the reader, whatever message it is."""

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from rolecall_proto.codec import (
    decode_confirm,
    decode_confirmations,
    decode_hello,
    decode_question,
    decode_resolutions,
    decode_update,
)
from rolecall_proto.v1 import broker_pb2 as pb
from rolecall_proto.values import PodUid


@given(st.binary(max_size=200))
def test_reading_is_total(data: bytes) -> None:
    """Whatever message the bytes may be, reading it raises nothing."""
    for kind, read in (
        (pb.NodeUpdate, decode_update),
        (pb.WatchNodeRequest, decode_hello),
        (pb.ResolvePodsRequest, decode_question),
        (pb.ResolvePodsRequest, decode_confirm),
        (pb.ResolvePodsResponse, lambda message: decode_confirmations(message, [PodUid("u")])),
        (pb.ResolvePodsResponse, decode_resolutions),
    ):
        try:
            message = kind.FromString(data)
        except DecodeError:
            continue  # gRPC refuses it before any code of ours.
        read(message)
