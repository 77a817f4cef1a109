"""A warden wakes for what is its own, and not for the pods of a busy node."""

import asyncio
import contextlib
import errno
import socket
import struct
from contextlib import ExitStack
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.junk import changed
from core.warden.rig import settings
from rolecall_warden.changes import Changes
from rolecall_warden.kernel_news import Concerns, concerns_table

NEW_LINK, DEL_LINK, NEW_ADDRESS, DEL_ADDRESS, NEW_RULE, DEL_RULE = 16, 17, 20, 21, 32, 33
ENDPOINT, CONTAINER, POD = "169.254.170.169", "fd00:ec2::23", "10.0.0.7"
CONCERNS = Concerns.of(settings(more_addresses=CONTAINER))
LOOPBACK, POD_LINK = 1, 77


def news(kind: int, head: bytes, **attributes: bytes) -> bytes:
    """Return a message of rtnetlink; an attribute is named by its number, as `_6`."""
    body = head
    for name, value in attributes.items():
        attribute = struct.pack("=HH", 4 + len(value), int(name[1:])) + value
        body += attribute.ljust((len(attribute) + 3) & ~3, b"\0")
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def of_link(kind: int, index: int) -> bytes:
    return news(kind, struct.pack("=BxHiII", 0, 1, index, 0, 0), _3=b"eni0\0")


def of_address(kind: int, index: int, address: str) -> bytes:
    packed = ip_address(address).packed
    return news(kind, struct.pack("=BBBBI", 2, 32, 0, 0, index), _1=packed, _2=packed)


def of_rule(kind: int, priority: int, protocol: int = 0) -> bytes:
    number = struct.pack("=I", priority)
    return news(kind, bytes(12), _6=number, _21=bytes([protocol]))


# What a CNI does for one pod, the VPC CNI's rules and IPv6's link-local addresses among it.
OF_PODS = {
    "link": of_link(NEW_LINK, POD_LINK),
    "link gone": of_link(DEL_LINK, POD_LINK),
    "address": of_address(NEW_ADDRESS, POD_LINK, POD),
    "link-local address": of_address(NEW_ADDRESS, POD_LINK, "fe80::1"),
    "address gone": of_address(DEL_ADDRESS, POD_LINK, POD),
    "rule": of_rule(NEW_RULE, 1536),
    "rule gone": of_rule(DEL_RULE, 512),
}
OURS = {
    "loopback link": of_link(NEW_LINK, LOOPBACK),
    "the endpoint's address is gone": of_address(DEL_ADDRESS, LOOPBACK, ENDPOINT),
    "any address of the loopback link": of_address(NEW_ADDRESS, LOOPBACK, POD),
    "an endpoint's address on another link": of_address(DEL_ADDRESS, POD_LINK, CONTAINER),
    "the guard is gone": of_rule(DEL_RULE, 6, 183),
    "somebody else's rule in its place": of_rule(NEW_RULE, 6),
    "a rule of ours elsewhere": of_rule(NEW_RULE, 999, 183),
    "what the kernel could not say": news(4, b""),
}


@pytest.mark.parametrize("name", OF_PODS)
def test_what_comes_and_goes_with_a_pod_concerns_no_rule(name: str) -> None:
    """Nine pods a second have cost nine hundredths of a core."""
    assert not CONCERNS.node(OF_PODS[name])
    assert not CONCERNS.node(OF_PODS[name] + OF_PODS["link"])


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_is_looked_at(name: str) -> None:
    """Also behind something that is not, in one message."""
    assert CONCERNS.node(OURS[name])
    assert CONCERNS.node(OF_PODS["address"] + OURS[name])


@given(st.sampled_from(sorted(OURS)).flatmap(lambda name: changed(OURS[name])) | st.binary())
def test_whatever_the_kernel_says_it_concerns_or_not(message: bytes) -> None:
    """What cannot be read concerns a warden; nothing makes it fail."""
    assert CONCERNS.node(message) in (True, False)


@pytest.mark.parametrize("cut", range(1, len(OF_PODS["rule"])))
def test_what_is_cut_off_concerns(cut: int) -> None:
    """Nobody knows what the rest would have said."""
    assert CONCERNS.node(OF_PODS["rule"][:cut])


def test_of_packet_rules_only_our_table_concerns() -> None:
    """kube-proxy and CNI change theirs all day."""
    assert concerns_table(b"\x0c\x00\x01\x00rolecall\x00")
    assert not concerns_table(b"\x0f\x00\x01\x00kube-proxy\x00")


class Kernel:
    """Two sockets on which news come in, as from the kernel."""

    def __init__(self, exits: ExitStack) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        (heard, self.said), (self.heard_filters, filters) = pairs
        for each in (heard, self.said, self.heard_filters, filters):
            each.settimeout(0)
            exits.enter_context(each)
        self.changes = Changes(CONCERNS, heard, self.heard_filters)


async def test_a_storm_of_news_leaves_the_loop_to_others() -> None:
    """What is there already is read without waiting for it: others have their turn all the same."""
    with ExitStack() as exits:
        kernel = Kernel(exits)
        said = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                kernel.said.send(OF_PODS["address"])
                said += 1
        following = asyncio.create_task(kernel.changes.follow(), name="follow")
        turns = 0
        async with asyncio.timeout(30):
            while not kernel.changes.changed.is_set():
                await asyncio.sleep(0)
                turns += 1
                with contextlib.suppress(BlockingIOError):
                    kernel.said.send(OURS["the guard is gone"])
        following.cancel()

    # Each of them had been read before it is told, a turn of the loop for each.
    assert turns > said / 2 > 5


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM])
async def test_news_that_are_lost_concern(number: int) -> None:
    """Nobody knows what they were: everything is looked at, and news are followed on."""

    class Losing(socket.socket):
        losses = 1

        def recv_into(self, buffer: bytearray, *_: int) -> int:
            if self.losses:
                self.losses -= 1
                raise OSError(number, "lost")
            return super().recv_into(buffer)

    with ExitStack() as exits:
        heard, said = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        losing = exits.enter_context(Losing(fileno=heard.detach()))
        exits.enter_context(said)
        losing.settimeout(0)
        kernel = Kernel(exits)
        changes = Changes(CONCERNS, losing, kernel.heard_filters)
        following = asyncio.create_task(changes.follow(), name="follow")
        async with asyncio.timeout(30):
            await changes.changed.wait()
            changes.changed.clear()
            said.send(OURS["the guard is gone"])
            await changes.changed.wait()
        following.cancel()
