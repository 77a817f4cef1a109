"""Says of requests that no pod sent: they come from an address of the node or its gateway.

Whoever asks there is no pod for the node, however long a request would wait. Once for each address
in the log, since an operator has to change something.
"""

import logging

from rolecall_proto.values import Address

log = logging.getLogger(__name__)

REASON = "the network rewrites addresses"
_ADVICE = (
    "the source is the node's own address or its gateway: something on the way masquerades what "
    "pods send to the metadata address, or a process of the node asks at the agent itself"
)
_MOST = 256  # A node has few addresses of its own.


class RewrittenSources:
    """Those that were seen."""

    def __init__(self) -> None:
        self._said: set[Address] = set()

    def note(self, address: Address) -> None:
        """Note that a request from *address* was refused. Cheap."""
        if address in self._said or len(self._said) >= _MOST:
            return
        self._said.add(address)
        fields = {"address": str(address), "reason": REASON, "advice": _ADVICE}
        log.warning("a request comes from an address that no pod has", extra=fields)
