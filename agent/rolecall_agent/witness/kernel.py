"""Asks the kernel, and is told of its changes: netlink sockets that need no capability."""

import errno
from collections.abc import Collection
from itertools import chain
from types import TracebackType
from typing import Self

from rolecall_agent.witness.changes import Changes
from rolecall_agent.witness.extent import Extent
from rolecall_agent.witness.links import BRIDGE, Links
from rolecall_agent.witness.neighbours import Neighbours
from rolecall_agent.witness.netlink import LostError, Open, opened
from rolecall_agent.witness.news import News
from rolecall_agent.witness.node_addresses import NodeAddresses
from rolecall_agent.witness.observation import NONE, SILENT, Observation, Way
from rolecall_agent.witness.questions import Questions
from rolecall_agent.witness.rtnetlink import layout, requests
from rolecall_agent.witness.rtnetlink.filters import neighbours_on
from rolecall_agent.witness.rtnetlink.messages import (
    Forwarding,
    Garbled,
    Link,
    Message,
    Neighbour,
    OwnAddress,
    Route,
    Rule,
)
from rolecall_agent.witness.rtnetlink.parsing import Wanted, is_any, is_near_or_default, parse
from rolecall_common.clock import Clock
from rolecall_proto.values import Address

# Kinds of links that lead to one network namespace each.
_POD_KINDS = frozenset({"veth", "netkit", "tun"})
_FAMILIES = (layout.AF_INET, layout.AF_INET6)


class Kernel:
    """The network of this process's namespace, as it is when it is looked at.

    Whatever raises LostError leaves things unknown, until `reread` comes to its end.
    """

    def __init__(self, clock: Clock, open_: Open = opened) -> None:
        """Raise OSError where there is no rtnetlink. Nothing is heard before `reread`."""
        self.links = Links(clock)
        self.addresses = NodeAddresses()
        self.neighbours = Neighbours()
        self._bridges: frozenset[int] = frozenset()  # Those whose neighbours are heard of.
        self._questions = Questions(open_)
        self._news = News(open_)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._news.close()
        self._questions.close()

    def fileno(self) -> int:
        """Return what becomes readable when something has changed."""
        return self._news.fileno()

    @property
    def has_changes(self) -> bool:
        """Whether anything has changed. The kernel says so before anyone can use the change."""
        return self._news.are_there

    def read_changes(self) -> Changes:
        """Read what has changed, as far as one turn goes. Raises LostError."""
        changes = Changes()
        for about in (Extent.EVERYTHING, Extent.BRIDGES):
            try:
                self._read_about(about, changes)
            except LostError as error:  # It had more to say than a socket could keep, or worse.
                changes.lost, changes.reason = max(changes.lost, about), str(error.strerror)
        if self._bridges != self.links.bridges:
            self._follow_bridges(changes)
        self.hear_no_more(max(changes.lost, changes.unheard))
        return changes

    def hear_no_more(self, extent: Extent) -> None:
        """Be told nothing of *extent* until it is read anew."""
        for about in (Extent.BRIDGES, Extent.EVERYTHING):
            if about <= extent:
                self._news.drop(about)

    def reread(self) -> set[Address]:
        """Begin anew; return where pods may be. Raises LostError.

        What has changed before is not heard any more, and what changes meanwhile is heard later.
        """
        self._news.listen(Extent.EVERYTHING)
        links, own = self._all(layout.GET_LINK), self._all(layout.GET_ADDRESS)
        self.links.reread(
            (each for each in links if isinstance(each, Link)),
            (each for each in own if isinstance(each, OwnAddress)),
        )
        found = self._all(layout.GET_ROUTE, is_near_or_default)
        routes = [each for each in found if isinstance(each, Route)]
        self.addresses.reread(routes)
        pods = {each.address for each in routes if self._leads_to_pod(each) and each.address}
        return pods | self.reread_bridges()

    def reread_bridges(self) -> set[Address]:
        """Do the same for what is behind bridges alone."""
        self._bridges = self.links.bridges
        self.neighbours.forget()
        if not self._bridges:
            self._news.drop(Extent.BRIDGES)
            return set()
        self._news.listen(Extent.BRIDGES, neighbours_on(self._bridges))
        found = self._all(layout.GET_NEIGHBOUR)
        return {
            each.address
            for each in found
            if isinstance(each, Neighbour) and each.hardware and self._kind(each.link) == BRIDGE
        }

    def date_links(self) -> None:
        """Find out how old links are, of which it was heard late. Raises LostError."""
        own = self._all(layout.GET_ADDRESS)
        self.links.date(each for each in own if isinstance(each, OwnAddress))

    def observe(self, address: Address) -> Observation:
        """Return where *address* is. Raises LostError."""
        route = self._questions.one(requests.ask_route(address))
        if not isinstance(route, Route) or not route.link or not route.direct:
            return NONE
        kind = self._kind(route.link)
        if kind == BRIDGE:
            return self._behind(route.link, address)
        return self._observed(Way.ROUTE, route.link) if self._leads_to_pod(route) else NONE

    def forget_all_but(self, addresses: Collection[Address]) -> None:
        """Keep the hardware addresses of *addresses* alone, once there are many."""
        self.neighbours.forget_all_but(addresses)

    def rules(self) -> list[Rule]:
        """Return the rules of routing policy. Raises LostError."""
        return [each for each in self._all(layout.GET_RULE) if isinstance(each, Rule)]

    def _read_about(self, about: Extent, changes: Changes) -> None:
        told = self._news.read(about)
        each = chain.from_iterable(map(parse, told))
        for message in self.neighbours.news(told) if about is Extent.BRIDGES else each:
            self._take(message, changes)
        if self._news.have_more(about):
            changes.unread = max(changes.unread, about)

    def _take(self, message: Message, changes: Changes) -> None:
        match message:
            case Link():
                self._learn_link(message, changes)
            case Route():
                self.addresses.learn(message)
                if message.is_for_one and message.address is not None:
                    changes.addresses.add(message.address)
                else:
                    changes.prefixes.add(message.version, message.address, message.length)
            case Neighbour(address, link) if link in self._bridges:
                changes.addresses.add(address)
            case Forwarding(hardware):
                changes.addresses |= self.neighbours.with_hardware(hardware)
            case Rule():
                _learn_rule(message, changes)
            case Garbled():
                raise LostError(errno.EBADMSG, "news that cannot be read")
            case _:
                pass

    def _follow_bridges(self, changes: Changes) -> None:
        """Hear of the bridges that have ports now; note whether something was said of them before.

        Not so where none had any, and no link that came has gone again: who should it be about?
        """
        is_first = not self._bridges and not max(changes.lost, changes.unread)
        if is_first and all(self.links.id(each.number) == each for each in changes.links):
            changes.addresses |= self.reread_bridges()
            changes.bridges = True
        else:
            self._bridges = self.links.bridges
            changes.unheard = Extent.BRIDGES

    def _behind(self, bridge: int, address: Address) -> Observation:
        who = self._questions.one(requests.ask_neighbour(address, bridge))
        hardware = who.hardware if isinstance(who, Neighbour) else b""
        self.neighbours.learn(address, hardware)
        if not hardware:
            return SILENT
        where = self._questions.one(requests.ask_forwarding(hardware, bridge))
        if not isinstance(where, Forwarding) or where.port in (0, bridge):
            return SILENT
        return self._observed(Way.BRIDGE, where.port)

    def _leads_to_pod(self, route: Route) -> bool:
        return route.is_for_one and route.direct and self._kind(route.link) in _POD_KINDS

    def _kind(self, number: int) -> str:
        link = self.links.get(number)
        if link is None:
            asked = self._questions.one(requests.ask_link(number))
            if not isinstance(asked, Link):
                return ""
            self.links.learn(link := asked)
        return link.kind

    def _observed(self, way: Way, number: int) -> Observation:
        """Return the observation of the link with *number*."""
        link = self.links.id(number) if self._kind(number) else None
        return NONE if link is None else Observation(way, link)

    def _learn_link(self, link: Link, changes: Changes) -> None:
        changed = self.links.learn(link)
        if not changed:
            return
        # Its routes may have gone without a word, as they do where a link goes or is let down.
        changes.topology = True
        changes.links |= changed
        changes.bridges = changes.bridges or link.kind == BRIDGE

    def _all(self, kind: int, wanted: Wanted = is_any) -> list[Message]:
        found: list[Message] = []
        for family in (0,) if kind == layout.GET_LINK else _FAMILIES:
            found += self._questions.all(requests.ask_all(kind, family), wanted)
        return found


def _learn_rule(rule: Rule, changes: Changes) -> None:
    changes.topology = True
    if rule.is_for_others:
        return
    if rule.address is None:
        changes.routing = True
    else:
        changes.prefixes.add(rule.version, rule.address, rule.length)
