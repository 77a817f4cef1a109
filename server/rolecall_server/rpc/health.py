"""grpc.health.v1 with truth in it: serving once the broker is synced, for as long as it runs."""

from collections.abc import Callable

import grpc

from rolecall_common.callbacks import reports_all_but
from rolecall_proto.v1.broker_pb2 import DESCRIPTOR

# The protocol's two messages have one field each, so their bytes are written out here: a dependency
# and its generated code would say no more than these lines.
_BROKER = DESCRIPTOR.services_by_name["Broker"].full_name.encode()
_WHOLE_SERVER = b""  # HealthCheckRequest{}
_ONE_SERVICE = b"\x0a" + bytes([len(_BROKER)]) + _BROKER  # HealthCheckRequest{service: …}
_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}
_NOT_SERVING = b"\x08\x02"  # HealthCheckResponse{status: NOT_SERVING}


def health_handler(is_serving: Callable[[], bool]) -> grpc.GenericRpcHandler:
    """Answer `Check` by asking *is_serving* each time; `Watch` is UNIMPLEMENTED, as it may be."""

    @reports_all_but(grpc.aio.BaseError)
    async def check(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if request not in (_WHOLE_SERVER, _ONE_SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _SERVING if is_serving() else _NOT_SERVING

    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )
