"""A node on this machine, without root: pods as network namespaces, at the real metadata address.

`keeper` runs inside the namespaces and makes what is in them; `node` starts it from outside, and
runs commands on the node and in its pods. Nothing of the machine itself is touched, and all of it
is gone with its last process.
"""

from rolecall_cli.lab.addresses import METADATA_ADDRESS, NODE_ADDRESS, Kind
from rolecall_cli.lab.node import LabError, LabNode

__all__ = ["METADATA_ADDRESS", "NODE_ADDRESS", "Kind", "LabError", "LabNode"]
