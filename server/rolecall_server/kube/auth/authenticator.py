"""Who an agent is, by its token: the API server vouches for it, our own watch says where it is.

The node is derived, never taken from the request: it is where the watch shows the pod that the
token is bound to. What is remembered is only that the API server has vouched, for five minutes at
most; whether the pod is there is looked up each time.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NoReturn, assert_never

from rolecall_common.clock import Clock
from rolecall_common.secret import Secret
from rolecall_proto.values import PodUid
from rolecall_server.kube.api import Api
from rolecall_server.kube.auth.circuit_breaker import CircuitBreaker
from rolecall_server.kube.auth.jwks import Proof, SigningKeys
from rolecall_server.kube.auth.review_queue import PendingReview, ReviewQueue
from rolecall_server.kube.auth.token_claims import AgentRules, Claims, Holder, read_token
from rolecall_server.kube.auth.token_review import Refused, ReviewResult, Unanswered, review
from rolecall_server.kube.auth.ttl_cache import TtlCache
from rolecall_server.model.authenticator import (
    Agent,
    ForbiddenError,
    UnauthenticatedError,
    UndecidedError,
)
from rolecall_server.model.pods import Pod
from rolecall_server.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

GOOD_FOR = timedelta(minutes=5)
JITTER = 0.2  # Less by so much at most: agents that came together part.
# A token that was refused is refused again for so long without a question.
REFUSED_FOR = timedelta(seconds=5)
# An agent gives a server ten seconds for its first message, and it gets half of them to say who.
TIMEOUT = timedelta(seconds=5)
# A pod that the watch does not show, or not any more: how old a review may be that is still
# believed, so that the token of a deleted pod is taken to the API server again.
_GOOD_FOR_THE_UNSEEN = timedelta(seconds=5)

# Some 200 bytes each: four tokens for each node of the largest clusters.
_MOST_VOUCHED = 20_000
_MOST_REFUSED = 5_000  # Apart, so that a flood of bad tokens drives no good one out.

_FULL = Unanswered(away=False, reason="too many tokens wait for their review")
_SLOW = Unanswered(away=True, reason="no answer in time")


@dataclass(frozen=True, slots=True)
class Vouched:
    """That somebody has vouched for a token: when, and until when that is good."""

    holder: Holder
    at: datetime
    until: datetime


class TokenReviewAuthenticator:
    """Believes TokenReview and the watch together, and neither alone.

    While the API server cannot be asked, and only then, the cluster's public keys vouch instead.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        api: Api,
        clock: Clock,
        rules: AgentRules,
        find_pod: Callable[[PodUid], Pod | None],
        metrics: Metrics,
        *,
        keys: SigningKeys,
        dice: random.Random,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._find_pod = find_pod
        self._metrics = metrics
        self._dice = dice
        self._keys = keys
        self._reviews = ReviewQueue(partial(review, api, rules), self._reviewed, clock)
        self._breaker = CircuitBreaker()
        self._vouched: TtlCache[bytes, Vouched] = TtlCache(_MOST_VOUCHED)
        self._refused: TtlCache[bytes, Refused] = TtlCache(_MOST_REFUSED)

    async def run(self) -> NoReturn:
        """Review tokens and keep the keys current until cancelled: else nobody comes in."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reviews.run(), name="review tokens")
            tasks.create_task(self._keys.run(), name="keep the cluster's keys")
        raise AssertionError("both tasks above have no end")

    async def authenticate(self, token: Secret) -> Agent:
        """Tell whose *token* it is, within a few seconds; whoever waits for it may leave."""
        now = self._clock.now()
        claims = read_token(token.reveal(), self._rules, now)
        key = hashlib.sha256(token.reveal().encode()).digest()
        if (refused := self._refused.get(key, now)) is not None:
            raise refused.error(refused.reason)
        vouched = self._cached(key, now) or await self._vouch(key, token, claims)
        return self._located(vouched)

    def _cached(self, key: bytes, now: datetime) -> Vouched | None:
        vouched = self._vouched.get(key, now)
        if vouched is None or self._find_pod(vouched.holder.pod_uid) is not None:
            return vouched
        return vouched if now - vouched.at < _GOOD_FOR_THE_UNSEEN else None

    async def _vouch(self, key: bytes, token: Secret, claims: Claims) -> Vouched:
        proof = self._keys.prove(token, claims, self._clock.now())
        if proof is Proof.FORGED:
            raise UnauthenticatedError("its signature is not the cluster's")
        result = await self._review(key, token, claims, proof)
        now = self._clock.now()
        match result:
            case Holder():
                return self._until(result, claims, now)
            case Refused(error, reason):
                raise error(reason)
            case Unanswered(away=True) if proof is Proof.GOOD:
                self._breaker.note_fallback()
                self._metrics.tokens_unreviewed.add()
                return Vouched(claims.holder, now, now)  # To be reviewed as soon as may be.
            case Unanswered(reason=reason):
                raise UndecidedError(reason)
            case _:
                assert_never(result)

    async def _review(
        self, key: bytes, token: Secret, claims: Claims, proof: Proof
    ) -> ReviewResult:
        now = self._clock.now()
        if self._breaker.failure is not None and not self._breaker.allows(now):
            return self._breaker.failure
        # Without keys nobody can tell, and all are alike.
        proven = proof is not Proof.NONE or not self._keys.known
        pending = self._reviews.submit(key, token, claims, proven=proven)
        if pending is None:
            return _FULL
        await self._clock.wait_until(pending.done, now + TIMEOUT)
        if pending.result is not None:
            return pending.result
        if not pending.asked:
            return _FULL
        self._note_failure(pending, _SLOW)
        return _SLOW

    def _reviewed(self, pending: PendingReview) -> None:
        """Remember what came of a review, also where nobody waits for it any more."""
        now, result = self._clock.now(), pending.result
        match result:
            case Holder():
                vouched = self._until(result, pending.claims, now)
                self._vouched.put(pending.key, vouched, now, vouched.until)
                self._metrics.token_reviews.add("accepted")
            case Refused():
                self._vouched.remove(pending.key)
                self._refused.put(pending.key, result, now, now + REFUSED_FOR)
                known = result.error is ForbiddenError
                self._metrics.token_reviews.add("no_agent" if known else "refused")
            case Unanswered():
                self._metrics.token_reviews.add("unavailable" if result.away else "not_allowed")
                self._note_failure(pending, result)
                return
            case None:
                return
            case _:
                assert_never(result)
        self._breaker.close()

    def _until(self, holder: Holder, claims: Claims, now: datetime) -> Vouched:
        good_for = GOOD_FOR * (1 - JITTER * self._dice.random())
        return Vouched(holder, now, min(now + good_for, claims.expires_at))

    def _note_failure(self, pending: PendingReview, failure: Unanswered) -> None:
        # A token that may be anybody's can be made to be slow, or to be refused as a request. What
        # comes of it says nothing about the others.
        if pending.proven:
            self._breaker.open(failure, self._clock.now())
            self._reviews.complete_waiting(failure)

    def _located(self, vouched: Vouched) -> Agent:
        """Return the agent, where the watch shows its pod as the token has it."""
        holder = vouched.holder
        pod = self._find_pod(holder.pod_uid)
        if pod is None or pod.node is None:
            raise UndecidedError("the watch does not show the agent's pod, or not on a node")
        if pod.mirror or pod.finished:
            raise ForbiddenError("the agent's pod is a mirror pod, or has finished")
        expected = (self._rules.namespace, self._rules.service_account, holder.pod_name)
        if (pod.namespace, pod.service_account, pod.name) != expected:
            raise self._mismatch(pod, "the token's pod has another name or service account")
        if holder.node is not None and holder.node != pod.node:
            raise self._mismatch(pod, "the token is of another node than its pod")
        return Agent(pod.node, pod.uid, recheck_at=vouched.until)

    def _mismatch(self, pod: Pod, reason: str) -> ForbiddenError:
        fields = {"reason": reason, "namespace": pod.namespace, "pod": pod.name, "node": pod.node}
        log.warning("an agent's token and the watch disagree", extra=fields)
        return ForbiddenError(reason)
