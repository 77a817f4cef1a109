"""Puts the issuer together: endpoint, connections and own credentials."""

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from botocore.session import Session  # type: ignore[import-untyped]  # it ships no types

from rolecall_common.clock import Clock
from rolecall_server.sts.assume_first import AssumeFirst
from rolecall_server.sts.aws_chain import AwsChain, make_session
from rolecall_server.sts.client import Observe, StsClient
from rolecall_server.sts.endpoint import Endpoint, find_endpoint
from rolecall_server.sts.error_codes import CallOutcome
from rolecall_server.sts.options import StsOptions
from rolecall_server.sts.own_credentials import OwnCredentialsProvider
from rolecall_server.sts.transport import open_transport

log = logging.getLogger(__name__)


def unobserved(outcome: CallOutcome, duration: timedelta) -> None:
    """Count nothing."""


@asynccontextmanager
async def open_client(
    options: StsOptions,
    clock: Clock,
    observe: Observe = unobserved,
    *,
    environ: Mapping[str, str] = os.environ,
    make_session: Callable[[], Session] = make_session,
) -> AsyncGenerator[StsClient]:
    """Hold an issuer. Nothing is asked of STS yet: `StsClient.caller()` is a good first question.

    Raises: ValueError with what is accepted, where the configuration leads nowhere.
    """
    endpoint, tls = await asyncio.to_thread(_prepare, make_session, options, environ)
    if endpoint.is_plain:
        log.warning("STS is asked without TLS", extra={"endpoint": endpoint.url})
    async with open_transport(endpoint, tls, options.concurrency, options.patience) as transport:
        own = OwnCredentialsProvider(AwsChain(clock, make_session).fetch, clock)
        sts = StsClient(transport, own, clock, observe)
        if options.assume_role_arn:
            assumed = AssumeFirst(sts, options.assume_role_arn, clock)
            sts = StsClient(transport, OwnCredentialsProvider(assumed.fetch, clock), clock, observe)
        yield sts


def _prepare(
    make_session: Callable[[], Session], options: StsOptions, environ: Mapping[str, str]
) -> tuple[Endpoint, ssl.SSLContext]:
    endpoint = find_endpoint(make_session(), options, environ)
    try:
        # One context for all connections: reading a bundle of authorities takes 20 ms.
        return endpoint, ssl.create_default_context(cafile=endpoint.ca_file)
    except OSError as error:
        raise ValueError(f"the CA bundle {endpoint.ca_file!r}: {error}") from error
