"""How the witness stands, for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rolecall_agent.witness.cni import Cni
from rolecall_agent.witness.entries import NONE_YET, Statistics
from rolecall_agent.witness.extent import Extent


@dataclass(frozen=True, slots=True)
class Report:
    """All of it at one moment."""

    bindings: Statistics = NONE_YET
    # How often news were lost, and how often what they may have been about was read anew.
    losses: Mapping[Extent, int] = field(default_factory=dict)
    rereads: Mapping[Extent, int] = field(default_factory=dict)
    cni: Cni = Cni.UNKNOWN
