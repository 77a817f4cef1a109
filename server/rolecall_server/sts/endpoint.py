"""Where STS is: the region, the endpoint by botocore's rules, and how to get there."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.configprovider import ConfiguredEndpointProvider  # type: ignore[import-untyped]  # it ships no types
from botocore.endpoint_provider import EndpointProvider  # type: ignore[import-untyped]  # it ships no types
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # it ships no types
from botocore.session import Session  # type: ignore[import-untyped]  # it ships no types
from botocore.utils import InstanceMetadataRegionFetcher, get_environ_proxies  # type: ignore[import-untyped]  # it ships no types

from rolecall_server.sts.options import REGION, StsOptions


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that answers for STS."""

    url: str
    # As the Host header and the signature have it: without the scheme's own port.
    host: str
    region: str
    proxy: str | None = None
    # The file with the authorities to trust; None means the system's.
    ca_file: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether keys cross the wire readable. For tests on one machine, and nothing else."""
        return self.url.startswith("http:")


def find_endpoint(session: Session, options: StsOptions, environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint that *options*, the environment and the profile lead to.

    It reads files. Raises ValueError with what is accepted.
    """
    try:
        region = find_region(session, options, environ)
        url = _by_rules(session, options, region)
        parts = urlsplit(url)
        port = parts.port  # Raises ValueError where it is none.
        ca_file = session.get_config_variable("ca_bundle")
    except BotoCoreError as error:
        raise ValueError(f"AWS configuration: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"the STS endpoint {url!r} is not http(s)://host[:port]")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"the STS endpoint {url!r} has a path; http(s)://host[:port] is accepted")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port not in (None, {"http": 80, "https": 443}[parts.scheme]):
        host += f":{port}"
    proxy = get_environ_proxies(url).get(parts.scheme)
    return Endpoint(f"{parts.scheme}://{host}/", host, region, proxy, ca_file or None)


def find_region(session: Session, options: StsOptions, environ: Mapping[str, str]) -> str:
    """Return the server's region: setting, environment, profile, or the instance that it runs on.

    The last is asked of the instance's metadata, within a second. Raises ValueError.
    """
    region = (
        options.region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or session.get_config_variable("region")
        or _region_of_instance(session, environ)
    )
    if not region:
        raise ValueError(
            "no AWS region: set `region` (or AWS_REGION), for example to eu-west-1; STS is asked "
            "at the endpoint of that region"
        )
    try:
        return REGION.read(region)
    except ValueError:
        raise ValueError(f"{region!r} is not an AWS region such as eu-west-1") from None


def _region_of_instance(session: Session, environ: Mapping[str, str]) -> str | None:
    names = ("ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode")
    config = {name: session.get_config_variable(name) for name in names}
    region: str | None = _RegionFetcher(env=environ, config=config).retrieve_region()
    return region


class _RegionFetcher(InstanceMetadataRegionFetcher):  # type: ignore[misc]  # it ships no types
    """Asks for the region by its name.

    botocore takes the last letter off the zone's name, and in a Local or Wavelength Zone, such as
    `us-east-1-bos-1a`, that leaves no region.
    """

    def _get_region(self) -> str:
        text: str = self._get_request(
            url_path="latest/meta-data/placement/region",
            retry_func=self._default_retry,
            token=self._fetch_metadata_token(),
        ).text
        return text


def _by_rules(session: Session, options: StsOptions, region: str) -> str:
    override = (
        options.endpoint
        or ConfiguredEndpointProvider(
            full_config=session.full_config,
            scoped_config=session.get_scoped_config(),
            client_name="sts",
        ).provide()
    )
    fips = options.fips
    if fips is None:
        fips = bool(session.get_config_variable("use_fips_endpoint"))
    if override and fips:
        raise ValueError(
            f"`fips` cannot be combined with the STS endpoint {override!r}: "
            "an endpoint of your own is taken as it is"
        )
    if override:
        return str(override)
    loader = session.get_component("data_loader")
    rules = EndpointProvider(
        loader.load_service_model("sts", "endpoint-rule-set-1"), loader.load_data("partitions")
    )
    found = rules.resolve_endpoint(
        Region=region,
        UseFIPS=fips,
        UseDualStack=bool(session.get_config_variable("use_dualstack_endpoint")),
        # Always the regional one: the global endpoint is a single point far away.
        UseGlobalEndpoint=False,
    )
    return str(found.url)
