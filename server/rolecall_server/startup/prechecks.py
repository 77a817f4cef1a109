"""What the server reads and asks before it serves; whatever cannot be used is a StartError."""

import contextlib
import logging
import random
import secrets
from datetime import timedelta
from pathlib import Path

from rolecall_common import lifecycle
from rolecall_common.backoff import Backoff
from rolecall_common.clock import Clock
from rolecall_common.lifecycle import StartError
from rolecall_server.kube.access import Access, AccessError, is_in_cluster, own_namespace
from rolecall_server.kube.transport import Transport
from rolecall_server.model.issuer import IssueError
from rolecall_server.policy.policy import Policy
from rolecall_server.policy.role_arns import BaseArn
from rolecall_server.policy.session_names import arithmetic
from rolecall_server.rpc.certificate import CertificateError
from rolecall_server.rpc.server import ListenError
from rolecall_server.settings import CHAINED_LIMIT, Settings
from rolecall_server.startup import from_settings
from rolecall_server.sts.client import StsClient
from rolecall_server.sts.replies import Caller

log = logging.getLogger(__name__)

# How often STS is asked who the server is, until it says so.
_WHO_AM_I = Backoff(timedelta(seconds=0.5), timedelta(seconds=15))
_SHORTEST_SECRET = 32  # bytes: what the derivation of keys can make use of
_LONGEST_SECRET = 64 * 1024  # bytes
# Stands for the server's own account until STS has told it: any base is as good for a short name.
_SOME_BASE = BaseArn.parse("arn:aws:iam::000000000000:role/")
_LARGE_CLUSTER = 100_000  # pods: what the sum about session names is made for


def refusing(setting: str = "") -> contextlib.AbstractContextManager[None]:
    """Turn what *setting* leads to, and cannot be used, into a StartError that names it.

    Without *setting* the errors name theirs themselves.
    """
    return lifecycle.refusing(
        setting, ValueError, OSError, AccessError, CertificateError, ListenError
    )


def token_secret(file: Path | None) -> bytes:
    """Return what metadata tokens are derived from. Raises OSError, ValueError."""
    if file is None:
        log.info("metadata tokens end with this process: no tokenSecretFile is set")
        return secrets.token_bytes(_SHORTEST_SECRET)
    with file.open("rb") as stream:
        secret = stream.read(_LONGEST_SECRET)  # A device would go on for ever.
    if len(secret) < _SHORTEST_SECRET:
        raise ValueError(f"{file} has less than {_SHORTEST_SECRET} bytes")
    return secret


async def base_and_duration(
    settings: Settings, sts: StsClient, clock: Clock, dice: random.Random
) -> tuple[BaseArn, timedelta]:
    """Return what short role names are put behind, and how long sessions may last.

    Both are settings that depend on who the server is: its account where no base is set, and an
    hour at most where it is itself a role. STS is asked only where that matters. Raises StartError
    where an hour is too short to keep the promises.
    """
    base, duration = settings.aws.base_arn, settings.session_duration
    if base is not None and duration <= CHAINED_LIMIT:
        return base, duration
    caller = await _caller(sts, clock, dice)
    if caller.is_role and duration > CHAINED_LIMIT:
        log.warning("sessions are capped at an hour: the server is itself a role")
        duration = CHAINED_LIMIT
        if reason := settings.sessions.broken_by(CHAINED_LIMIT):
            raise StartError(f"reportedEarly: {caller.arn} is itself a role: {reason}")
    found = base or BaseArn.of_caller(caller.arn)
    log.info("the server is known to STS", extra={"arn": caller.arn, "base_arn": found.prefix})
    return found, duration


async def _caller(sts: StsClient, clock: Clock, dice: random.Random) -> Caller:
    failures = 0
    while True:
        try:
            return await sts.caller()
        except IssueError as error:
            failures += 1
            log.warning("STS does not say who the server is", extra={"reason": str(error)})
            await clock.sleep(_WHO_AM_I.delay(failures, dice))


async def api_and_namespace(
    settings: Settings, stack: contextlib.AsyncExitStack
) -> tuple[Transport, str]:
    """Return how the API server is reached, and the agents' namespace. Raises StartError.

    An API server that is away does not keep the server from starting.
    """
    kubernetes = settings.kubernetes
    if kubernetes.kubeconfig is None and not is_in_cluster():
        raise StartError(
            "manifests: this is no pod of a cluster: name a directory of manifests, or a kubeconfig"
        )
    access = Access(kubernetes.kubeconfig, kubernetes.kube_context, kubernetes.kube_lenient_tls)
    with refusing("kubeconfig"):
        await access()
    namespace = kubernetes.agent_namespace or own_namespace()
    if namespace is None:
        raise StartError("agentNamespace: this is no pod of a cluster: name the agents' namespace")
    return await stack.enter_async_context(Transport(access)), namespace


def policy(settings: Settings, base: BaseArn, duration: timedelta, region: str) -> Policy:
    """Return the policy. Raises ValueError, a line per problem."""
    return Policy(from_settings.policy_settings(settings, base, duration, region))


def log_cautions(settings: Settings) -> None:
    """Log what works and should still be known. Raises ValueError, a line per problem."""
    base = settings.aws.base_arn or _SOME_BASE
    rules = from_settings.policy_settings(settings, base, settings.session_duration, "")
    rate = settings.aws.sts_calls_per_second
    cautions = list(settings.cautions())
    if rules.parts_each_pod:
        sentence = arithmetic(rules.session_name, _LARGE_CLUSTER, rate, settings.session_duration)
        cautions += [sentence] if sentence else []
    for sentence in cautions:
        log.warning("a setting has a consequence", extra={"sentence": sentence})
