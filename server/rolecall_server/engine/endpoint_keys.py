"""What the endpoints of a node get: the key of their tokens, and how they check those of pods."""

import hashlib
import hmac

from rolecall_proto.values import EndpointKeys, NodeName, PodTokenRules
from rolecall_server.engine.rules import BrokerRules


def endpoint_keys(
    node: NodeName, rules: BrokerRules, pod_tokens: PodTokenRules | None
) -> EndpointKeys:
    """Return the keys of *node*; *pod_tokens* is None where the tokens of pods are not checked.

    The token key is the same on every replica, and another one for each node.
    """
    key = hmac.digest(rules.token_secret, node.encode(), hashlib.sha256)
    return EndpointKeys(key, rules.base_arn, rules.imdsv2_required, node, pod_tokens)
