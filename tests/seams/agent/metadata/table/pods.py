"""Who asks in the table of raw requests, and how a row is written."""

from fakes.endpoint_rig import ROLES, request

OWN = "127.0.0.2"  # has the role team/reader under the base
OTHER = "127.0.0.3"  # has a role in another account, shown as an ARN
NO_ROLE = "127.0.0.4"
DENIED = "127.0.0.5"
FAILED = "127.0.0.6"
PENDING = "127.0.0.7"
STRICT = "127.0.0.8"  # must show a token
HOST = "127.0.0.9"  # is on the host network
TWICE = "127.0.0.10"  # two pods claim it
UNKNOWN = "127.0.0.11"
FOREIGN_ARN = "arn:aws:iam::444455556666:role/x/y"
TOKEN = "/latest/api/token"  # noqa: S105 - a path
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
PROOF = "X-aws-ec2-metadata-token"
INFO = "/latest/meta-data/iam/info"
DOCUMENT = f"{ROLES}/team/reader"
GET_LIST = request()
LINE = f"GET {ROLES}/ HTTP/1.1"
H = "Host: 169.254.169.254"

# What it is, what is sent, by which pod, and the statuses that come back until the endpoint closes.
Row = tuple[str, bytes, str, tuple[int, ...]]


def raw(*lines: str) -> bytes:
    """Return a head as it is given, line by line."""
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def put(*headers: str, path: str = TOKEN) -> bytes:
    return request(path, *headers, method="PUT")
