"""The witness against a model of kernel, API server and watch, in any order that can happen."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.entries import Query
from rolecall_agent.witness.observation import NONE, Doubt, LinkId, Observation, Way
from rolecall_proto.values import PodUid

HERE = ip_address("10.0.0.1")
# How far the watch may be behind: a little less than what the witness counts with.
MOST_BEHIND = SETTLING - 0.5
LAPSES = (0.1, 1.0, 4.0, 6.0, 9.6, 11.0)

Program = Sequence[tuple[str, int]]


@dataclass
class Pod:
    uid: PodUid
    link: LinkId
    ends: bool = False  # As the API says: it is being deleted.
    moved: bool = False  # It lives on with another address, of which the API does not know yet.


@dataclass
class World:
    """One address. Its pods come and go; the agent sees that at once, and hears of it late.

    The kernel gives the address away only after the API has said that its pod ends, as kubelets
    do; the API lists a pod for any time longer. A pod that lives on with another address is the
    exception: see `is_excepted`.
    """

    now: float = 0.0
    links: int = 0
    holder: Pod | None = None
    listed: dict[PodUid, Pod] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    views: list[tuple[float, frozenset[PodUid]]] = field(
        default_factory=lambda: [(0.0, frozenset())]
    )
    heard: int = 0
    claimed: frozenset[PodUid] = frozenset()
    passers: int = 0  # Other addresses that were seen.
    watching: bool = False  # The kernel's changes are seen.
    listening: bool = False  # The server's word is heard.
    query: Query | None = None
    read: dict[PodUid, tuple[object, ...]] | None = None
    bindings: Bindings = field(default_factory=lambda: Bindings({}))

    def __post_init__(self) -> None:
        self._start()

    def run(self, program: Program) -> None:
        for name, choice in program:
            OPERATIONS[name](self, choice)
            self.check()

    def check(self) -> None:
        """Whoever asks from the address is the pod that has it, or gets nothing."""
        holder = self.bindings.holders.get(HERE)
        if self.watching and self.holder is not None and holder is not None:
            assert (
                isinstance(holder, Doubt) or holder == self.holder.uid or self.is_excepted(holder)
            )

    def is_excepted(self, uid: PodUid) -> bool:
        """Whether *uid* may be taken for another pod: the limit that docs/threat-model.md states.

        Its sandbox was made anew with another address, as after a restart of the node's container
        runtime, and the next pod has its old one. Until its kubelet has posted that, and the agent
        has been told, the API says of a living pod what is not so, to watches and reads alike.
        """
        return uid in self.claimed and uid in self.moved

    @property
    def moved(self) -> set[PodUid]:
        return {pod.uid for pod in self.pods if pod.moved}

    def come(self, _: int) -> None:
        if self.holder is None:
            link = self._link()
            self.holder = Pod(PodUid(f"pod-{link.birth}"), link)
            self.listed[self.holder.uid] = self.holder
            self.pods.append(self.holder)
            self._changed()

    def end(self, _: int) -> None:
        if self.holder is not None:
            self.holder.ends = True
            self._said()

    def let_go(self, choice: int) -> None:
        self.end(choice)
        self.holder = None
        self._changed()

    def replace(self, choice: int) -> None:
        self.let_go(choice)
        if choice > 2:
            self.pass_by(choice)
        self.come(choice)

    def remake(self, _: int) -> None:
        """Give the pod another sandbox, with the address that it had."""
        if self.holder is not None:
            self.holder.link = self._link()
            self._changed()

    def move(self, _: int) -> None:
        """Give the pod another sandbox, with another address."""
        if self.holder is not None:
            self.holder.moved = True
            self.holder = None
            self._changed()

    def post(self, _: int) -> None:
        """Have the API know of the addresses that pods were given anew."""
        for uid in self.moved:
            self.listed.pop(uid, None)
        self._said()

    def pass_by(self, choice: int) -> None:
        """Show another address, which needs room; or more of them than the agent remembers."""
        for _ in range(1100 if choice == 0 else 1):
            self.passers += 1
            link = LinkId(8, self.passers)
            self.bindings.observe(HERE + self.passers, Observation(Way.ROUTE, link), self.now)

    def unlist(self, choice: int) -> None:
        gone = [uid for uid, pod in self.listed.items() if pod is not self.holder]
        if gone:
            del self.listed[gone[choice % len(gone)]]
            self._said()

    def tell(self, choice: int) -> None:
        """Tell of the next changes at once, of which those between are lost."""
        self.heard = min(self.heard + 1 + choice, len(self.views) - 1)
        self._claim(self.heard)

    def repeat(self, choice: int) -> None:
        """Tell what was true before: by a replica, say, that is further behind."""
        self._claim(self._not_too_old(max(self.heard - choice, 0)))

    def wait(self, choice: int) -> None:
        end = self.now + LAPSES[choice]
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            self.heard = self._not_too_old(self.heard)
            self._claim(self.heard)
            if self.watching:
                self.bindings.tick(self.now)
            self.check()

    def ask(self, _: int) -> None:
        self.query, self.read = self.bindings.query([HERE]), None

    def look_up(self, _: int) -> None:
        if self.query is not None:
            self.read = {uid: self._read(uid) for uid in self.query.uids}

    def answer(self, _: int) -> None:
        if self.query is not None and self.read is not None:
            self.bindings.answer(self.query, self.read)  # type: ignore[arg-type]  # addresses

    def confirm(self, choice: int) -> None:
        """Ask, and have it answered at once."""
        for step in (self.ask, self.look_up, self.answer):
            step(choice)

    def blind(self, _: int) -> None:
        """Lose the kernel's messages; the agent notices before it answers anybody."""
        self.watching = False

    def kill(self, _: int) -> None:
        self.watching = self.listening = False

    def recover(self, choice: int) -> None:
        """Start again, with or without a state; or read all, where only messages were lost."""
        if not (self.listening or self.watching):
            self.bindings = Bindings(self.bindings.state() if choice % 2 else {})
            self.query = None
            self._start(connected=choice > 1)
        elif not self.watching:
            self.watching = True
            self.bindings.begin(self.now)
            self._look()

    def connect(self, _: int) -> None:
        """Find a server, which tells everything."""
        if not self.listening:
            self.listening = True
            self._claim(self.heard)
            self.bindings.note_synced()

    def calm(self, choice: int) -> None:
        """Whoever lives, and is not about to end, is known once all is said and read."""
        self.recover(choice)
        self.connect(choice)
        self.post(choice)
        self.tell(len(self.views))
        self.confirm(choice)
        if self.holder is not None and not self.holder.ends:
            assert self.bindings.holders[HERE] == self.holder.uid

    def _link(self) -> LinkId:
        """Make a link that has the number of all others."""
        self.links += 1
        return LinkId(7, self.links)

    def _start(self, *, connected: bool = True) -> None:
        self.watching = True
        self.bindings.begin(self.now)
        self._look()
        if connected:
            self.connect(0)

    def _look(self) -> None:
        observation = self._observation()
        self.bindings.set_links([observation.link] if observation.link else [])
        self.bindings.observe(HERE, observation, self.now)

    def _observation(self) -> Observation:
        return NONE if self.holder is None else Observation(Way.ROUTE, self.holder.link)

    def _changed(self) -> None:
        if self.watching:
            self._look()
        self._said()

    def _said(self) -> None:
        view = frozenset(self.listed)
        if view != self.views[-1][1]:
            self.views.append((self.now, view))

    def _not_too_old(self, index: int) -> int:
        """Return the view at *index*, or the first after it that was true lately."""
        oldest = self.now - MOST_BEHIND
        while index + 1 < len(self.views) and self.views[index + 1][0] < oldest:
            index += 1
        return index

    def _claim(self, index: int) -> None:
        if self.listening:
            self.claimed = self.views[index][1]
            is_new = self.bindings.observation(HERE) is None
            self.bindings.claim(HERE, self.claimed, self.now)
            if is_new and self.claimed:
                self.bindings.observe(HERE, self._observation(), self.now)

    def _read(self, uid: PodUid) -> tuple[object, ...]:
        pod = self.listed.get(uid)
        return () if pod is None or pod.ends else (HERE,)


OPERATIONS: dict[str, Callable[[World, int], None]] = {
    each.__name__: each
    for each in (
        *(World.come, World.end, World.let_go, World.replace, World.remake, World.unlist),
        *(World.move, World.post, World.pass_by, World.confirm),
        *(World.tell, World.repeat, World.wait, World.ask, World.look_up, World.answer),
        *(World.blind, World.kill, World.recover, World.connect, World.calm),
    )
}
STEPS = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, len(LAPSES) - 1))


@settings(max_examples=300, deadline=None)
@given(program=st.lists(STEPS, max_size=40))
def test_nobody_is_taken_for_another_in_any_order(program: Program) -> None:
    """Late, doubled and lost messages of server and kernel, addresses used again, restarts."""
    World().run(program)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_taken_for_another_in_long_runs(seed: int) -> None:
    """The same, where all has a history: thousands of steps, drawn by the seed."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    names, choices = sorted(OPERATIONS), range(len(LAPSES))
    for _ in range(150):
        program = [(dice.choice(names), dice.choice(choices)) for _ in range(40)]
        try:
            World().run(program)
        except AssertionError:
            pytest.fail(f"after {program}")


def test_a_pod_that_was_forgotten_is_not_mistaken() -> None:
    """It was seen, and not named yet, when there were more links than are remembered."""
    world = World()
    world.run([("wait", 5), ("come", 0), ("pass_by", 0), ("replace", 0), ("tell", 0)])

    assert world.bindings.holders[HERE] is Doubt.SUSPENDED


def test_a_pod_with_a_new_address_is_believed_until_the_api_knows() -> None:
    """The exception, and its end: what the API says of a living pod is behind as well."""
    world = World()
    world.run([("come", 0), ("tell", 0), ("move", 0), ("come", 0)])
    world.run([("ask", 0), ("look_up", 0), ("answer", 0)])
    assert world.bindings.holders[HERE] == "pod-1"
    assert world.is_excepted(PodUid("pod-1"))

    world.run([("post", 0), ("tell", 5)])
    assert world.bindings.holders[HERE] is Doubt.SUSPENDED
    assert not world.is_excepted(PodUid("pod-1"))
    world.run([("calm", 0)])
    assert world.bindings.holders[HERE] == "pod-2"
