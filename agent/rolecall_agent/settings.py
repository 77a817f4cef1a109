"""What an operator may set of the agent. Which node it is on is no setting: its token proves it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from rolecall_agent.decision import COMMON_ITEMS, Item
from rolecall_common.output import ADMIN_LISTEN_HELP, OutputSettings
from rolecall_common.settings import types
from rolecall_common.settings.declare import group, setting
from rolecall_common.settings.durations import duration_text
from rolecall_common.settings.types import HostPort

# botocore gives up after one second of silence; the answer has to travel too.
PATIENCE = timedelta(milliseconds=950)

_HOST = types.matching(
    r"[A-Za-z0-9.\[\]:_-]{1,260}", "a host as in a Host header, such as metadata:8080", "HOST"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the servers are, and how agent and server know each other."""

    servers: tuple[HostPort, ...] = setting(
        types.several(types.HOST_PORT, least=1), "The servers to connect to; one at a time is used."
    )
    server_name: str | None = setting(
        types.optional(types.matching(r"[A-Za-z0-9.:-]{1,253}", "a name", "NAME")),
        "The name that the server's certificate must have. Else it is the host of the address.",
        default=None,
    )
    ca_file: Path = setting(
        types.PATH, "The authorities that may vouch for servers, in PEM. Read again on change."
    )
    token_file: Path = setting(
        types.PATH, "The token that proves which node this is. Read again at each connection."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """Where pods ask for credentials."""

    listen: tuple[HostPort, ...] = setting(
        types.several(types.HOST_PORT, least=1),
        "Where the metadata endpoint listens.",
        default=(HostPort("169.254.169.254", 80),),
    )
    allowed_hosts: tuple[str, ...] = setting(
        types.several(_HOST),
        "Hosts that requests may name, besides the metadata addresses and the endpoint's own.",
        default=(),
    )
    hold: timedelta = setting(
        types.duration(timedelta(0), timedelta(seconds=10)),
        "How long a request is held in silence whose pod or credentials are not known yet.",
        default=timedelta(milliseconds=900),
    )
    patient_answers: bool = setting(
        types.SWITCH,
        "Whether such a request is held for up to 3.4s, while the first bytes of its answer keep "
        "the SDK waiting: one each 0.4s. Requests for tokens and the SDK for Rust, which the bytes "
        "do not help, are held in silence all the same. Without it all are.",
        default=True,
    )
    metadata_service: HostPort | None = setting(
        types.optional(types.HOST_PORT),
        "The node's own metadata service, of which single items are passed on. Without it, or "
        "where the endpoint itself listens there, none is.",
        default=HostPort("169.254.169.254", 80),
    )
    metadata_items: tuple[Item, ...] = setting(
        types.several(types.choice(Item)),
        "What is passed on, to every pod; nothing else ever is. The identity document names the "
        "node's account, and is passed on only where it stands here.",
        default=COMMON_ITEMS,
    )

    @property
    def offered(self) -> tuple[Item, ...]:
        """What is passed on: nothing, where there is nobody to ask but the endpoint itself."""
        return () if self.metadata_service in (None, *self.listen) else self.metadata_items


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings:
    """Where pods ask for credentials by a token."""

    container_listen: tuple[HostPort, ...] = setting(
        types.several(types.HOST_PORT),
        "Where the container endpoint listens, such as 169.254.170.23:9804 or [fd00:ec2::23]:9804: "
        "over plain HTTP SDKs accept these addresses and loopback. The machine may come to have "
        "them later. Without any there is no such endpoint.",
        default=(),
    )


class Unwitnessed(StrEnum):
    """What the metadata endpoint does for a pod whose address has no link of its own."""

    REFUSE = "refuse"
    SERVE = "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """How the kernel vouches for who has an address."""

    unwitnessed: Unwitnessed = setting(
        types.choice(Unwitnessed),
        "What the metadata endpoint does for a pod whose address has no link of its own here, "
        "so that nothing shows when another pod gets it. serve believes the API alone.",
        default=Unwitnessed.REFUSE,
    )
    state_file: Path | None = setting(
        types.optional(types.PATH),
        "Where the agent keeps which pod had which link, for the next one to trust. Nothing is "
        "secret in it. It should outlive the container, and not the pod. Without it a restarted "
        "agent has each pod confirmed anew, or waits for ten seconds.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverSettings:
    """How one agent of a node takes the place of another."""

    endpoint_file: Path | None = setting(
        types.optional(types.PATH),
        "Where the warden of this pod reads the endpoint's port once it is warm. With it the agent "
        "takes a port of its own, from the one that is set upwards, so that two can share a node.",
        default=None,
    )
    warden_file: Path | None = setting(
        types.optional(types.PATH),
        "Where the warden of this pod says that it lives. The agent is ready only while the rules "
        "are in place and are that warden's, and shares the container endpoint's port with a newer "
        "agent only once they are that one's.",
        default=None,
    )
    grace_period: timedelta = setting(
        types.duration(timedelta(0), timedelta(hours=1)),
        "For how long an agent that is told to end answers on where no other one has taken its "
        "place, as long as its node has pods that it serves. It may take ten seconds more to end: "
        "terminationGracePeriodSeconds has to allow for both.",
        default=timedelta(0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOutputSettings(OutputSettings):
    """As the server's, on a port beside it, so that both can run on one machine."""

    admin_listen: HostPort = setting(
        types.HOST_PORT, ADMIN_LISTEN_HELP, default=HostPort("127.0.0.1", 9802)
    )
    health_file: Path | None = setting(
        types.optional(types.PATH),
        "The file whose lock says that the agent lives; beside it is a stamp of now, which says "
        "whether it is ready. python -I -m rolecall_common.probe reads both, for a kubelet.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `rolecall agent` is told."""

    server: ServerSettings = group(ServerSettings, "Servers")
    endpoint: EndpointSettings = group(EndpointSettings, "Metadata endpoint")
    container: ContainerSettings = group(ContainerSettings, "Container endpoint")
    witness: WitnessSettings = group(WitnessSettings, "Witness")
    takeover: TakeoverSettings = group(TakeoverSettings, "Takeover")
    output: AgentOutputSettings = group(AgentOutputSettings, "Log, audit and health")

    def cautions(self) -> Iterator[str]:
        """Yield what works and should still be known: a sentence each, for the log at start."""
        if self.endpoint.hold > PATIENCE:
            held = duration_text(self.endpoint.hold)
            yield f"requests are held in silence for {held}; some SDKs give up for good after 1s"
        if self.witness.unwitnessed is Unwitnessed.SERVE:
            yield "pods without a link of their own are served by what the API says of them alone"
        if self.endpoint.metadata_service in self.endpoint.listen:
            yield "the endpoint stands in the metadata service's place: no item is passed on"
