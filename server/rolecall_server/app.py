"""The server, put together. Read this first: it shows who hands what to whom."""

import asyncio
import logging
import random
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from typing import NoReturn

from prometheus_client import CollectorRegistry

from rolecall_common import logs
from rolecall_common.admin_http import serving_admin
from rolecall_common.audit import auditing
from rolecall_common.clock import Clock, SystemClock
from rolecall_common.line_writer import Room
from rolecall_common.metrics import register
from rolecall_common.process_metrics import ProcessMetrics
from rolecall_common.version import VERSION
from rolecall_server.admin.collector import ServerCollector
from rolecall_server.admin.readiness import ServerReadiness
from rolecall_server.engine.broker import Broker
from rolecall_server.engine.issue_loop import IssueLoop
from rolecall_server.model.source import Source
from rolecall_server.rpc.certificate import ServerCertificate
from rolecall_server.rpc.server import listening
from rolecall_server.rpc.service import Service
from rolecall_server.rpc.watch_stream import GATHER
from rolecall_server.settings import Settings
from rolecall_server.startup import from_settings, prechecks
from rolecall_server.startup.backends import Backend, ClusterBackend, ManifestBackend
from rolecall_server.sts.error_codes import CallOutcome
from rolecall_server.sts.factory import open_client
from rolecall_server.telemetry.audit_and_log import AuditAndLog
from rolecall_server.telemetry.journal import Journals
from rolecall_server.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

# A wrong rule of a namespace denies its pods in one step: so many records at most.
_AUDIT_ROOM = Room(lines=131_072, size=64 << 20)
_TURN = 25  # changes: some two milliseconds


async def run(settings: Settings) -> None:
    """Serve until cancelled. Raises StartError where the settings cannot be used."""
    clock, metrics, dice = SystemClock(), Metrics(), random.Random()  # noqa: S311 - only jitter
    listen, output = settings.listening, settings.output

    def observe(outcome: CallOutcome, took: timedelta) -> None:
        metrics.sts_calls.add(outcome)
        metrics.sts_duration.observe(took.total_seconds(), outcome)

    async with AsyncExitStack() as stack:
        with prechecks.refusing():
            prechecks.log_cautions(settings)
            with prechecks.refusing("auditFile"):
                audit = stack.enter_context(auditing(output.audit_file, clock.now, _AUDIT_ROOM))
            with prechecks.refusing("tlsCertificate, tlsKey"):
                certificate = ServerCertificate(listen.tls_certificate, listen.tls_key, clock)
            with prechecks.refusing("tokenSecretFile"):
                secret = prechecks.token_secret(listen.token_secret_file)
            backend = await _backend(settings, stack, clock, dice, metrics)
            issuer = open_client(from_settings.sts_options(settings), clock, observe)
            sts = await stack.enter_async_context(issuer)
            registry, readiness = CollectorRegistry(), ServerReadiness(certificate)
            register(registry, metrics.recorders())
            process = ProcessMetrics(audit, logs.lost)
            process.register(registry)
            probes = serving_admin(output.admin_listen, readiness.readiness, registry)
            with prechecks.refusing("adminListen"):
                await stack.enter_async_context(probes)
        base, duration = await prechecks.base_and_duration(settings, sts, clock, dice)
        with prechecks.refusing():
            policy = prechecks.policy(settings, base, duration, sts.endpoint.region)
            journal = Journals((AuditAndLog(metrics, audit, clock.now), *backend.journals))
            broker = Broker(
                policy, from_settings.broker_rules(settings, base, secret), dice, journal
            )
            attached = backend.attach(broker)
            service = Service(
                broker,
                attached.authenticator,
                clock,
                gather=GATHER,
                pod_reader=attached.pod_reader,
            )
            registry.register(
                ServerCollector(broker, service, certificate, backend.levels, clock.now)
            )
            agents = listening(service, str(listen.listen), certificate.credentials())
            with prechecks.refusing("listen"):
                await stack.enter_async_context(agents)
        readiness.watch(broker, backend.levels)
        log.info("serving agents", extra={"listen": str(listen.listen), "version": VERSION})
        issue_loop = IssueLoop(broker, sts, clock, metrics)
        work = {
            "be part of the cluster": attached.run(),
            "authenticate agents again": service.run(),
            "issue sessions": issue_loop.run(),
            "find own credentials": sts.warm_up(),
            "reload the certificate": certificate.run(),
            "watch the loop": process.measure_loop(),
        }
        async with asyncio.TaskGroup() as tasks:
            for source in backend.sources:
                tasks.create_task(_feed(source, broker, clock), name="feed the broker")
            for name, each in work.items():
                tasks.create_task(each, name=name)


async def _backend(
    settings: Settings,
    stack: AsyncExitStack,
    clock: Clock,
    dice: random.Random,
    metrics: Metrics,
) -> Backend:
    if settings.sources.manifests is not None:
        return ManifestBackend(settings, clock)
    api, namespace = await prechecks.api_and_namespace(settings, stack)
    return ClusterBackend(settings, namespace, api, clock, dice, metrics)


async def _feed(source: Source, broker: Broker, clock: Clock) -> NoReturn:
    taken_in = 0
    async with aclosing(source.changes()) as changes:
        async for change in changes:
            broker.apply(change, clock.now())
            taken_in += 1
            # A roll-out comes in one piece. Others have their turn in between, so that STS is asked
            # for its first pods while its last are taken in.
            if taken_in % _TURN == 0:
                await asyncio.sleep(0)
    raise AssertionError("a source of pods has ended")
