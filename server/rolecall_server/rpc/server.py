"""Puts the service on a TLS port, and takes it off again without a long goodbye."""

import contextlib
from collections.abc import AsyncGenerator

import grpc

from rolecall_proto.v1 import broker_pb2_grpc
from rolecall_server.rpc.health import health_handler
from rolecall_server.rpc.service import Service

# Streams are ended first and take no time; this is for one whose agent has stopped reading.
STOP_GRACE = 2.0
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # A second server on the port is an error, not a silent half of it.
    (
        "grpc.max_receive_message_length",
        1024 * 1024,
    ),  # The most held, of 64 bytes, and room.
    ("grpc.absolute_max_metadata_size", 16 * 1024),  # Twice the longest token that is accepted.
    # Of one agent: its stream, and the questions in flight. There is no limit on the calls of all:
    # it would count those of peers that have proved nothing yet, who could then lock agents out.
    ("grpc.max_concurrent_streams", 8),
    # Whoever has connected, and neither proves anything nor asks, is not waited for.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 60_000),
    # A dead agent's sessions are renewed for nobody: find it within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Agents look every ten seconds whether we live; gRPC thinks that rude below five minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # No connection outlives trust in its certificate by much, nor a balance between replicas. The
    # agent comes back with what it holds, so this costs no call to STS.
    ("grpc.max_connection_age_ms", 10 * 60_000),
    ("grpc.max_connection_age_grace_ms", 1_000),
]


class ListenError(Exception):
    """The address cannot be listened on."""


@contextlib.asynccontextmanager
async def listening(
    service: Service, address: str, credentials: grpc.ServerCredentials
) -> AsyncGenerator[int]:
    """Serve agents on *address* while the block runs; yield the port (of use where 0 was asked).

    Raises: ListenError.
    """
    server = grpc.aio.server(options=_OPTIONS)
    broker_pb2_grpc.add_BrokerServicer_to_server(service, server)
    server.add_generic_rpc_handlers((health_handler(lambda: service.serving),))
    try:
        port = server.add_secure_port(address, credentials)
    except RuntimeError as error:  # All that gRPC says is that it failed.
        raise ListenError(f"cannot listen on {address}") from error
    await server.start()
    try:
        yield port
    finally:
        service.close()
        await server.stop(STOP_GRACE)
