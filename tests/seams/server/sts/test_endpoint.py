"""Where STS is asked: the region's order, botocore's rules, and what is refused at start."""

from pathlib import Path

import pytest

from fakes.aws import forget_machine
from rolecall_server.sts.aws_chain import make_session
from rolecall_server.sts.endpoint import Endpoint, find_endpoint
from rolecall_server.sts.options import StsOptions


@pytest.fixture(autouse=True)
def _no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_machine(monkeypatch, tmp_path)


def find(options: StsOptions, **environ: str) -> Endpoint:
    # This machine may be an instance itself, and its metadata is nobody's business here.
    environ = {"AWS_EC2_METADATA_DISABLED": "true", **environ}
    return find_endpoint(make_session(), options, environ)


def test_the_region_is_the_setting_then_the_environment_then_the_profile(tmp_path: Path) -> None:
    """The first that is there wins."""
    (tmp_path / "config").write_text("[default]\nregion = eu-west-3\n")

    both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert find(StsOptions(region="eu-north-1"), **both).region == "eu-north-1"
    assert find(StsOptions(), **both).region == "eu-west-1"
    assert find(StsOptions(), AWS_DEFAULT_REGION="eu-west-2").region == "eu-west-2"
    assert find(StsOptions()).region == "eu-west-3"


def test_no_region_is_refused() -> None:
    """The message says what to set."""
    with pytest.raises(ValueError, match=r"set `region` \(or AWS_REGION\)"):
        find(StsOptions())


@pytest.mark.parametrize("region", ["EU", "moon", "eu-west-1/", "eu-west-1.evil.example", "a b-1"])
def test_what_is_no_region_is_refused(region: str) -> None:
    """It would become part of a host's name."""
    with pytest.raises(ValueError, match="is not an AWS region"):
        find(StsOptions(region=region))


@pytest.mark.parametrize(
    ("region", "fips", "url"),
    [
        ("eu-west-1", False, "https://sts.eu-west-1.amazonaws.com/"),
        ("us-east-1", False, "https://sts.us-east-1.amazonaws.com/"),
        ("us-east-1", True, "https://sts-fips.us-east-1.amazonaws.com/"),
        ("us-gov-west-1", True, "https://sts.us-gov-west-1.amazonaws.com/"),
        ("cn-north-1", False, "https://sts.cn-north-1.amazonaws.com.cn/"),
        ("us-iso-east-1", False, "https://sts.us-iso-east-1.c2s.ic.gov/"),
    ],
)
def test_the_endpoint_is_the_regional_one_of_the_partition(
    region: str,
    fips: bool,  # noqa: FBT001 (a column of the table)
    url: str,
) -> None:
    """The rules of botocore decide, FIPS included; the global endpoint is never used."""
    assert find(StsOptions(region=region, fips=fips)).url == url


def test_the_legacy_setting_does_not_bring_the_global_endpoint_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One far endpoint for everyone is what the contract rules out."""
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")

    assert find(StsOptions(region="us-east-1")).url == "https://sts.us-east-1.amazonaws.com/"


def test_an_endpoint_of_ones_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting first, then what every AWS SDK reads."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://vpce-1.sts.example:8443")

    found = find(StsOptions(region="eu-west-1"))
    assert (found.url, found.host) == (
        "https://vpce-1.sts.example:8443/",
        "vpce-1.sts.example:8443",
    )
    assert (
        find(StsOptions(region="eu-west-1", endpoint="https://own.example:443")).host
        == "own.example"
    )
    assert find(StsOptions(region="eu-west-1", endpoint="http://[::1]:8080")).host == "[::1]:8080"


@pytest.mark.parametrize(
    "endpoint",
    [
        "sts.example",
        "ftp://sts.example",
        "https://",
        "https://user@sts.example",
        "https://sts.example/path",
        "https://sts.example/?a=b",
        "https://sts.example:port",
        "https://[::1",
    ],
)
def test_an_odd_endpoint_is_refused(endpoint: str) -> None:
    """At start, and not with the first call."""
    with pytest.raises(ValueError, match=r"."):
        find(StsOptions(region="eu-west-1", endpoint=endpoint))


def test_fips_and_an_endpoint_of_ones_own_contradict() -> None:
    """Nobody could keep the promise for a host that is not AWS's."""
    with pytest.raises(ValueError, match="fips"):
        find(StsOptions(region="eu-west-1", endpoint="https://own.example", fips=True))


def test_a_proxy_and_a_bundle_are_taken_from_the_usual_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What botocore would use, this transport uses."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/aws.pem")
    monkeypatch.setenv("NO_PROXY", "")

    found = find(StsOptions(region="eu-west-1"))

    assert (found.proxy, found.ca_file) == ("http://proxy.example:3128", "/etc/aws.pem")


def test_a_profile_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is botocore's own."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(ValueError, match="nobody"):
        find(StsOptions(region="eu-west-1"))
