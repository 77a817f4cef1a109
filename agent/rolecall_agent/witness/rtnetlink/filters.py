"""What the kernel is to keep from a socket: a program in its own small language (classic BPF)."""

import struct
import sys
from collections.abc import Collection

from rolecall_agent.witness.rtnetlink import layout

_STEP = struct.Struct("=HBBI")
_LOAD_WORD, _LOAD_BYTE, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x30, 0x15, 0x06
_FAMILY = layout.HEADER.size  # Where a neighbour's message has its family, and its link.
_LINK = layout.HEADER.size + 4
_ALL, _NOTHING = 0xFFFF_FFFF, 0
_MOST_LINKS = 64  # Jumps are of a byte.


def neighbours_on(links: Collection[int]) -> bytes:
    """Return what lets forwarding tables pass, and the neighbours on *links*; on any of too many.

    Elsewhere a pod that asks around with changing hardware addresses costs the kernel alone.
    """
    if len(links) > _MOST_LINKS:
        return b""
    count = len(links)
    steps = [
        (_LOAD_BYTE, 0, 0, _FAMILY),
        (_JUMP_IF_EQUAL, count + 2, 0, layout.AF_BRIDGE),
        (_LOAD_WORD, 0, 0, _LINK),
    ]
    # Numbers are loaded as the network writes them, whatever the machine's way.
    numbers = [int.from_bytes(number.to_bytes(4, sys.byteorder)) for number in links]
    steps += [(_JUMP_IF_EQUAL, count - place, 0, each) for place, each in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _NOTHING), (_RETURN, 0, 0, _ALL)]
    return b"".join(_STEP.pack(*each) for each in steps)
