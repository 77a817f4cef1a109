"""Numbers and structures, as in linux/netlink.h, linux/rtnetlink.h and what these include."""

import struct

AF_BRIDGE = 7
AF_INET = 2
AF_INET6 = 10

# Kinds of messages. A NEW one is an answer as well as a change, a GET one asks.
NEW_LINK, DEL_LINK, GET_LINK = 16, 17, 18
NEW_ADDRESS, GET_ADDRESS = 20, 22
NEW_ROUTE, DEL_ROUTE, GET_ROUTE = 24, 25, 26
NEW_NEIGHBOUR, DEL_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30
NEW_RULE, DEL_RULE, GET_RULE = 32, 33, 34
ERROR, DONE, OVERRUN = 2, 3, 4

# Multicast groups, as bits of an address to bind to. None needs a capability.
ROUTING = (
    1 << 0  # links
    | 1 << 6  # IPv4 routes
    | 1 << 7  # IPv4 rules
    | 1 << 10  # IPv6 routes
    | 1 << 18  # IPv6 rules
)
NEIGHBOURS = 1 << 2  # And the forwarding tables of bridges.

# Of a message's flags.
DUMP_INTERRUPTED = 0x10  # What is told has changed meanwhile, and may be half old and half new.

HEADER = struct.Struct("=IHHII")  # length, kind, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")
LINK = struct.Struct("=BxHiII")
ROUTE = struct.Struct("=BBBBBBBBI")
NEIGHBOUR = struct.Struct("=BxxxiHBB")
ADDRESS = struct.Struct("=xxxxI")
CACHE = struct.Struct("=IIII")  # Of an address: two lifetimes, made, changed.
NUMBER = struct.Struct("=I")


def aligned(size: int) -> int:
    return (size + 3) & ~3
