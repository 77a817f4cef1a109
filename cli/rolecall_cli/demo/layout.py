"""Where everything of one demo is: addresses, ports, files and the settings of both processes."""

import secrets
import shutil
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import trustme
import yaml

NODE = "demo-node"
REGION = "eu-west-1"
BASE_ARN = "arn:aws:iam::111122223333:role/"


@dataclass(frozen=True, slots=True)
class Layout:
    """One demo's places. Its files are all below *root*."""

    root: Path
    node_address: IPv4Address  # Where pods reach what listens on the node.
    pod_network: IPv4Network
    metadata: tuple[str, int]  # Where the agent's endpoint is.
    sts_port: int
    server_port: int
    server_admin_port: int
    agent_admin_port: int
    has_warden: bool = False  # Whether there are packets to be kept from going elsewhere.

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def calls(self) -> Path:
        """Where every call that reached STS is written down."""
        return self.root / "sts-calls.jsonl"

    @property
    def server_audit(self) -> Path:
        return self.root / "server-audit.jsonl"

    @property
    def sts_url(self) -> str:
        return f"http://{self.node_address}:{self.sts_port}"

    @property
    def warden_health(self) -> Path:
        return self.root / "warden"

    def log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def config(self, name: str) -> Path:
        return self.root / f"{name}.yaml"


def free_ports(count: int) -> list[int]:
    """Return *count* ports of loopback that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def write(layout: Layout, examples: Path, allowed_hosts: list[str]) -> None:
    """Write manifests, certificates, token and settings."""
    if not layout.manifests.exists():
        shutil.copytree(examples, layout.manifests)
    (layout.root / "home").mkdir()
    layout.calls.touch()
    _write_certificates(layout.root)
    (layout.root / "node-token").write_text(NODE)
    (layout.root / "token-secret").write_bytes(secrets.token_bytes(32))
    layout.config("server").write_text(yaml.safe_dump(_server(layout), sort_keys=False))
    layout.config("agent").write_text(
        yaml.safe_dump(_agent(layout, allowed_hosts), sort_keys=False)
    )
    health = {"healthFile": str(layout.warden_health)}
    layout.config("warden").write_text(yaml.safe_dump(health))


def _write_certificates(root: Path) -> None:
    authority = trustme.CA(organization_name="rolecall demo")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(root / "ca.pem")
    certificate.private_key_pem.write_to_path(root / "server.key")
    for index, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(root / "server.pem", append=index > 0)


def _server(layout: Layout) -> dict[str, object]:
    return {
        "manifests": str(layout.manifests),
        "manifestNodes": {NODE: str(layout.pod_network)},
        "listen": f"127.0.0.1:{layout.server_port}",
        "tlsCertificate": str(layout.root / "server.pem"),
        "tlsKey": str(layout.root / "server.key"),
        "authentication": "loopback",
        "tokenSecretFile": str(layout.root / "token-secret"),
        "region": REGION,
        "baseArn": BASE_ARN,
        "stsEndpoint": layout.sts_url,
        "allowPodExternalId": True,
        "adminListen": f"127.0.0.1:{layout.server_admin_port}",
        "auditFile": str(layout.server_audit),
    }


def _agent(layout: Layout, allowed_hosts: list[str]) -> dict[str, object]:
    host, port = layout.metadata
    return {
        "servers": [f"127.0.0.1:{layout.server_port}"],
        "caFile": str(layout.root / "ca.pem"),
        "tokenFile": str(layout.root / "node-token"),
        "listen": [f"{host}:{port}"],
        "metadataService": "",  # The demo asks nothing of the machine that it runs on.
        "adminListen": f"127.0.0.1:{layout.agent_admin_port}",
        "auditFile": str(layout.root / "agent-audit.jsonl"),
        "stateFile": str(layout.root / "agent-state"),
        # Addresses of loopback have no links of their own.
        "unwitnessed": "serve" if layout.pod_network.is_loopback else "refuse",
        **({"allowedHosts": allowed_hosts} if allowed_hosts else {}),
    }
