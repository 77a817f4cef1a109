"""STS over TLS: the bundle of authorities decides whom to believe."""

import ssl
from pathlib import Path

import pytest
import trustme

from fakes.aws import USER, forget_machine, holding
from fakes.sts import FakeSts
from rolecall_common.clock import SystemClock
from rolecall_server.model.issuer import UnavailableError
from rolecall_server.sts.factory import open_client
from rolecall_server.sts.options import StsOptions


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_machine(monkeypatch, tmp_path)


async def ask(believed: trustme.CA, authority: trustme.CA, folder: Path) -> str:
    """Ask a fake certified by *authority*, believing *believed*."""
    bundle = folder / "bundle.pem"
    believed.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    fake = FakeSts(USER)
    await fake.start(tls=tls)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_CA_BUNDLE", str(bundle))
            options = StsOptions(region="eu-west-1", endpoint=fake.url)
            clock, keys = SystemClock(), holding(USER)
            async with open_client(options, clock, environ={}, make_session=keys) as sts:
                return (await sts.caller()).arn
    finally:
        await fake.close()


async def test_a_certificate_of_the_bundle_is_believed(tmp_path: Path) -> None:
    """The usual setting of every AWS tool names the bundle."""
    authority = trustme.CA()

    assert await ask(authority, authority, tmp_path) == USER.principal.arn


async def test_any_other_certificate_is_unavailability(tmp_path: Path) -> None:
    """Nothing is sent to a stranger, and no identity is blamed."""
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(trustme.CA(), trustme.CA(), tmp_path)


async def test_a_bundle_that_is_not_there_is_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the file."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    options = StsOptions(region="eu-west-1", endpoint="https://127.0.0.1:1")
    with pytest.raises(ValueError, match=r"missing\.pem"):
        async with open_client(options, SystemClock(), environ={}, make_session=holding(USER)):
            pass
