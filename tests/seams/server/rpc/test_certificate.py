"""Certificates and bundles: who is believed, and how both change without a restart."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fakes.clock import START, FakeClock
from fakes.replica import SERVER_NAME, Certificates, Node, Replica, ended, following, pod
from rolecall_agent.sync.ca_bundle import CaBundleError, CaBundleFile
from rolecall_agent.sync.stream import REREAD_CA_BUNDLE
from rolecall_agent.sync.stream_end import EndReason
from rolecall_common.clock import SystemClock
from rolecall_common.secret import Secret
from rolecall_proto.values import Heartbeat, Update
from rolecall_server.admin.readiness import ServerReadiness
from rolecall_server.model.authenticator import Agent
from rolecall_server.rpc.certificate import (
    REMIND,
    REREAD,
    SOON,
    CertificateError,
    ServerCertificate,
)
from rolecall_server.rpc.watch_stream import HEARTBEAT
from rolecall_server.startup.backends import SourceLevels


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def replica(certificates: Certificates) -> AsyncGenerator[Replica]:
    server = Replica(SystemClock(), certificates).sync(pod("web", "10.0.0.1"))
    async with server.listening():
        yield server


class Curious:
    """An authenticator that notes whether it was shown a token."""

    asked = False

    async def authenticate(self, token: Secret) -> Agent:
        del token
        self.asked = True
        raise AssertionError


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_server_that_is_not_ours_is_not_shown_the_token(
    replica: Replica, certificates: Certificates, wrong: str
) -> None:
    """A certificate of another authority, or of another name, ends the attempt before a word."""
    curious = Curious()
    replica.service._authentication._authenticator = curious  # noqa: SLF001 - no other way in
    if wrong == "authority":
        certificates.trust(trustme.CA())
    else:
        certificates.write(certificates.authority.issue_cert("elsewhere.example"))
        replica.certificate.reload()
    async with following(Node(SystemClock()), certificates, replica.address) as follower:
        end_reasons = await ended(follower)

    assert end_reasons == {EndReason.UNAVAILABLE: 1}
    assert not curious.asked


async def test_a_new_certificate_is_offered_to_the_next_connection(
    replica: Replica, certificates: Certificates
) -> None:
    """The open stream goes on; whoever comes then sees the new certificate, without a restart."""
    old, new = Node(SystemClock()), Node(SystemClock())
    async with following(old, certificates, replica.address) as follower:
        await old.synced()
        authority = trustme.CA()
        certificates.write(authority.issue_cert(SERVER_NAME))
        certificates.trust(authority)
        replica.certificate.reload()
        async with following(new, certificates, replica.address):
            await new.synced()

        assert follower.statistics().connected
    assert replica.certificate.reloads == {True: 1}


def garbage(certificates: Certificates) -> None:
    certificates.certificate.write_text("no certificate")


def half_key(certificates: Certificates) -> None:
    certificates.key.write_bytes(certificates.key.read_bytes()[:100])


def another_key(certificates: Certificates) -> None:
    issued = certificates.authority.issue_cert(SERVER_NAME)
    certificates.key.write_bytes(issued.private_key_pem.bytes())


def missing(certificates: Certificates) -> None:
    certificates.certificate.unlink()


def expired(certificates: Certificates) -> None:
    ended = certificates.authority.issue_cert(SERVER_NAME, not_after=START - timedelta(days=1))
    certificates.write(ended)


@pytest.mark.parametrize("spoil", [garbage, half_key, another_key, missing, expired])
def test_what_cannot_be_used_does_not_replace_what_can(
    certificates: Certificates, spoil: Callable[[Certificates], None]
) -> None:
    """The old certificate stays, the failure is counted once, and a later good one is taken."""
    certificate = ServerCertificate(certificates.certificate, certificates.key, FakeClock())
    not_after = certificate.not_after
    spoil(certificates)
    certificate.reload()
    certificate.reload()

    assert certificate.reloads == {False: 1}
    assert certificate.problem
    assert certificate.not_after == not_after
    certificates.write(certificates.authority.issue_cert(SERVER_NAME))
    certificate.reload()
    assert certificate.reloads == {False: 1, True: 1}
    assert certificate.problem is None


def told_of_certificate(readiness: ServerReadiness) -> list[str]:
    return [line for line in readiness.readiness().lines if "certificate" in line]


async def test_a_certificate_that_ends_within_a_month_is_said_once_a_day(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log and to whoever looks at readiness, until there is another; and it serves on."""
    clock, message = FakeClock(), "the certificate in use has to be renewed"
    ends = START + SOON + timedelta(days=1)
    certificates.write(certificates.authority.issue_cert(SERVER_NAME, not_after=ends))
    certificate = ServerCertificate(certificates.certificate, certificates.key, clock)
    readiness, replica = ServerReadiness(certificate), Replica(clock, certificates).sync()
    readiness.watch(replica.broker, SourceLevels)
    before = told_of_certificate(readiness)
    running = asyncio.create_task(certificate.run())
    for _ in range(4):
        await clock.asleep()
        clock.advance(REMIND / 2)
    await clock.asleep()
    said, within = caplog.messages.count(message), told_of_certificate(readiness)
    certificates.write(certificates.authority.issue_cert(SERVER_NAME))
    clock.advance(REREAD)
    await clock.asleep()
    running.cancel()

    line = f"degraded: the certificate in use ends at {ends:%F %TZ}"
    assert (before, within, told_of_certificate(readiness)) == ([], [line], [])
    assert readiness.readiness().ready
    assert said == 2


@pytest.mark.parametrize(("days", "expected"), [(1, True), (2, False)])
def test_a_certificate_that_is_short_lived_ends_soon_in_its_last_quarter(
    certificates: Certificates, days: int, *, expected: bool
) -> None:
    """One of a week is not to be renewed from its first day on."""
    ends = START + timedelta(days=days)
    issued = certificates.authority.issue_cert(
        SERVER_NAME, not_before=ends - timedelta(days=7), not_after=ends
    )
    certificates.write(issued)

    certificate = ServerCertificate(certificates.certificate, certificates.key, FakeClock())
    assert certificate.ends_soon() is expected


def test_a_key_that_is_no_point_of_its_curve_does_not_replace_one_that_is(
    certificates: Certificates,
) -> None:
    """A certificate can be well-formed and its key impossible; that ends no server."""
    certificate = ServerCertificate(certificates.certificate, certificates.key, SystemClock())
    leaf = x509.load_pem_x509_certificate(certificates.certificate.read_bytes())
    point = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)[-64:]
    broken = leaf.public_bytes(Encoding.DER).replace(point, b"\x01" * 64)
    certificates.certificate.write_text(ssl.DER_cert_to_PEM_cert(broken))
    certificate.reload()

    assert certificate.problem is not None
    assert "a key of a kind that is unknown" in certificate.problem
    assert certificate.is_valid()


@pytest.mark.parametrize("spoil", [garbage, half_key, another_key, missing, expired])
def test_a_server_does_not_start_with_what_cannot_be_used(
    certificates: Certificates, spoil: Callable[[Certificates], None]
) -> None:
    """The refusal names the file and says nothing of its content."""
    spoil(certificates)
    with pytest.raises(CertificateError) as caught:
        ServerCertificate(certificates.certificate, certificates.key, FakeClock())

    assert str(certificates.folder) in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_readiness_ends_with_the_certificate_in_use(certificates: Certificates) -> None:
    """It is valid until its end, and not at its end."""
    clock = FakeClock()
    certificate = ServerCertificate(certificates.certificate, certificates.key, clock)

    assert certificate.is_valid()
    clock.advance_to(certificate.not_after)
    assert not certificate.is_valid()


def test_the_key_is_not_printed(certificates: Certificates) -> None:
    """No log line shows a private key."""
    certificate = ServerCertificate(certificates.certificate, certificates.key, FakeClock())

    assert "PRIVATE KEY" not in repr(certificate._pair)  # noqa: SLF001 - what is looked at


async def test_the_files_are_read_again_and_again(certificates: Certificates) -> None:
    """Nobody needs to tell the server that its certificate was renewed."""
    clock = FakeClock()
    certificate = ServerCertificate(certificates.certificate, certificates.key, clock)
    task = asyncio.create_task(certificate.run(), name="certificate")
    await clock.asleep()
    certificates.write(certificates.authority.issue_cert(SERVER_NAME))
    clock.advance(REREAD)
    await clock.asleep()
    task.cancel()

    assert certificate.reloads == {True: 1}


@pytest.mark.parametrize(
    "content", ["", "no certificate", "\udcff"], ids=["empty", "text", "bytes"]
)
def test_a_bundle_without_a_certificate_does_not_replace_one(
    certificates: Certificates, content: str
) -> None:
    """The agent goes on with whom it believed, and says why."""
    ca_bundle_file = CaBundleFile(certificates.bundle, FakeClock().now)
    before = ca_bundle_file.bundle
    certificates.bundle.write_text(content, errors="surrogateescape")

    assert ca_bundle_file.reread() == before
    assert ca_bundle_file.problem
    with pytest.raises(CaBundleError, match="holds no PEM certificate"):
        CaBundleFile(certificates.bundle, FakeClock().now)


def test_a_bundle_may_have_comments_in_any_language(certificates: Certificates) -> None:
    """What stands between certificates does not matter."""
    pem = certificates.bundle.read_bytes()
    certificates.bundle.write_bytes("# Vertrauenswürdig\n".encode() + pem)

    assert CaBundleFile(certificates.bundle, FakeClock().now).bundle.not_after


def test_a_bundle_whose_certificates_have_all_ended_is_not_taken(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody could be believed by it: what was read before stays, and the agent says so once."""
    clock = FakeClock()
    ca_bundle_file = CaBundleFile(certificates.bundle, clock.now)
    before, end = ca_bundle_file.bundle, ca_bundle_file.bundle.not_after
    assert end is not None
    clock.advance_to(end - timedelta(seconds=1))
    certificates.trust(trustme.CA(), certificates.authority)
    assert ca_bundle_file.reread() != before
    clock.advance_to(end + timedelta(days=1))

    assert ca_bundle_file.reread() == before
    assert ca_bundle_file.reread() == before
    assert ca_bundle_file.problem
    assert caplog.messages == ["the CA file cannot be used, what was read before stays"]
    with pytest.raises(CaBundleError, match="has ended"):
        CaBundleFile(certificates.bundle, clock.now)


async def until_bundles_are_read(clock: FakeClock, node: Node) -> None:
    """Advance half a minute from the snapshot, with the heartbeats that keep a stream alive."""
    await clock.asleep(3)  # The server, and what watches for silence and for another bundle.
    for heartbeats in (1, 2):
        await clock.asleep_until(clock.now() + HEARTBEAT)
        clock.advance(HEARTBEAT)
        await node.until(lambda: sum(map(is_heartbeat, node.updates)) >= heartbeats)  # noqa: B023 - awaited in this turn
    await clock.asleep_until(clock.now() + timedelta(seconds=5))  # The watch for silence.
    clock.advance(timedelta(seconds=5))
    await clock.asleep_until(clock.now() + timedelta(seconds=5))  # The watch on the bundle.
    clock.advance(timedelta(seconds=5))


def is_heartbeat(update: Update) -> bool:
    return isinstance(update, Heartbeat)


async def test_a_stream_moves_to_a_new_bundle_that_fits(certificates: Certificates) -> None:
    """Once a connection by the new bundle succeeds, the agent comes back with that."""
    clock = FakeClock()
    node, replica = Node(clock), Replica(clock, certificates).sync()
    async with replica.listening(), following(node, certificates, replica.address) as follower:
        await node.synced()
        certificates.trust(certificates.authority, trustme.CA())
        await until_bundles_are_read(clock, node)

        assert await ended(follower) == {EndReason.CA_BUNDLE_CHANGED: 1}


async def test_a_new_bundle_that_does_not_fit_costs_no_stream(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that came before its server's certificate is tried again, and the stream goes on."""
    monkeypatch.setattr("rolecall_agent.sync.stream.PROOF", 0.2)
    clock = FakeClock()
    node, replica = Node(clock), Replica(clock, certificates).sync()
    async with replica.listening(), following(node, certificates, replica.address) as follower:
        await node.synced()
        certificates.trust(trustme.CA())
        await until_bundles_are_read(clock, node)
        await clock.asleep_until(clock.now() + REREAD_CA_BUNDLE)

        assert follower.statistics().connected
        assert not follower.statistics().end_reasons
