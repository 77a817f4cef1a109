"""A model of kernel, kubelet, API server and watch around one address, for the witness to be in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import floor

from core.agent.witness.rig import HERE, at
from rolecall_agent.witness.bindings import SETTLING, Bindings
from rolecall_agent.witness.entries import Query
from rolecall_agent.witness.observation import NONE, Doubt, LinkId, Observation, Way
from rolecall_proto.values import Confirmation, PodUid

LAPSES = (0.1, 0.3, 0.7, 1.0, 4.0, 11.0)

Program = Sequence[tuple[str, int]]
# What the API says: who has the address, and the second in which each last started, if any.
View = Mapping[PodUid, int | None]


@dataclass
class Pod:
    uid: PodUid
    link: LinkId
    started: int | None = None


@dataclass
class World:
    """One address. Its pods come and go; the agent sees that at once, and hears of it late.

    Nothing bounds how late: a kubelet posts an end, or where a pod has gone, whenever it does; the
    watch tells of that whenever it does, again and again, and in no order.
    """

    now: float = 0.2
    links: int = 0
    holder: Pod | None = None
    pods: list[Pod] = field(default_factory=list)
    posted: dict[PodUid, int | None] = field(default_factory=dict)
    views: list[View] = field(default_factory=lambda: [{}])
    passers: int = 0  # Other addresses that were seen.
    watching: bool = False  # The kernel's changes are seen.
    listening: bool = False  # The server's word is heard.
    unseen_until: float = 0.0
    query: Query | None = None
    read: dict[PodUid, Confirmation] | None = None
    bindings: Bindings = field(default_factory=lambda: Bindings({}))

    def __post_init__(self) -> None:
        self._start()

    def run(self, program: Program) -> None:
        for name, choice in program:
            self.now += 0.001  # No two things happen at one time.
            OPERATIONS[name](self, choice)
            self.check()

    def check(self) -> None:
        """Whoever asks from the address is the pod that has it, or gets nothing."""
        found = self.bindings.holders.get(HERE)
        if self.watching and self.holder is not None and found is not None:
            assert isinstance(found, Doubt) or found == self.holder.uid or self.is_excepted(found)

    def is_excepted(self, uid: PodUid) -> bool:
        """Whether *uid* may be taken for another pod: the limit that docs/threat-model.md states.

        It started in the second in which the next pod's link was born, and the agent saw neither.
        """
        born = self.holder.link.born_at if self.holder is not None else at(0)
        pods = {pod.uid: pod for pod in self.pods}
        started = pods[uid].started
        same = started is not None and at(started) == born.replace(microsecond=0)
        return same and at(self.unseen_until) > at(started or 0)

    def come(self, _: int) -> None:
        if self.holder is None:
            link = self._link()
            self.holder = Pod(PodUid(f"pod-{link.inode}"), link)
            self.pods.append(self.holder)
            self._changed()

    def start(self, _: int) -> None:
        """Have the sandbox be ready, or a container start."""
        if self.holder is not None:
            self.holder.started = floor(self.now)

    def go(self, _: int) -> None:
        """End, or get another address; the API goes on saying what it said."""
        self.holder = None
        self._changed()

    def replace(self, choice: int) -> None:
        self.go(choice)
        if choice > 2:
            self.pass_by(choice)
        self.come(choice)

    def remake(self, _: int) -> None:
        """Give the pod another sandbox, with the address that it had."""
        if self.holder is not None:
            self.holder.link = self._link()
            self._changed()

    def post(self, choice: int) -> None:
        """Have a kubelet post how one pod is now."""
        if self.pods:
            pod = self.pods[-1 - choice % len(self.pods)]
            if pod is self.holder:
                self.posted[pod.uid] = pod.started
            else:
                self.posted.pop(pod.uid, None)
            self.views.append(dict(self.posted))

    def pass_by(self, choice: int) -> None:
        """Show another address, which needs room; or more of them than the agent remembers."""
        count = 1100 if choice == 0 else 1
        for _ in range(count):
            self.passers += 1
            link = LinkId(8, self.passers)
            self.bindings.observe(HERE + self.passers, Observation(Way.ROUTE, link), self.moment)
        if count > 1:
            self.unseen_until = self.now

    def tell(self, _: int) -> None:
        self._claim(self.views[-1])

    def repeat(self, choice: int) -> None:
        """Tell what was true before: by a replica, say, that is further behind."""
        self._claim(self.views[max(-2 - choice, -len(self.views))])

    def wait(self, choice: int) -> None:
        end = self.now + LAPSES[choice]
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            if self.watching:
                self.bindings.tick(self.moment)
            self.check()

    def ask(self, _: int) -> None:
        self.query, self.read = self.bindings.query([HERE]), None

    def look_up(self, _: int) -> None:
        if self.query is not None:
            self.read = {uid: self._read(uid) for uid in self.query.uids}

    def answer(self, _: int) -> None:
        if self.query is not None and self.read is not None:
            self.bindings.answer(self.query, self.read, self.moment)

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
            self._begin()

    def connect(self, _: int) -> None:
        """Find a server, which tells everything."""
        if not self.listening:
            self.listening = True
            self._claim(self.views[-1])

    def calm(self, choice: int) -> None:
        """Whoever has the address is known, once it has started again and all of it is told."""
        self.recover(choice)
        self.connect(choice)
        self.wait(4)
        self.start(choice)
        for number in range(len(self.pods)):
            self.post(number)
        self.tell(choice)
        if self.holder is not None:
            assert self.bindings.holders[HERE] == self.holder.uid

    @property
    def moment(self) -> datetime:
        return at(self.now)

    def _link(self) -> LinkId:
        """Make a link that has the number of all others."""
        self.links += 1
        return LinkId(7, self.links, born_at=self.moment)

    def _start(self, *, connected: bool = True) -> None:
        self._begin()
        if connected:
            self.connect(0)

    def _begin(self) -> None:
        self.watching, self.unseen_until = True, self.now
        self.bindings.begin(self.moment)
        self._look()

    def _look(self) -> None:
        observation = self._observation()
        self.bindings.set_links([observation.link] if observation.link else [])
        self.bindings.observe(HERE, observation, self.moment)

    def _observation(self) -> Observation:
        return NONE if self.holder is None else Observation(Way.ROUTE, self.holder.link)

    def _changed(self) -> None:
        if self.watching:
            self._look()

    def _claim(self, view: View) -> None:
        if self.listening:
            claims = {uid: None if start is None else at(start) for uid, start in view.items()}
            is_new = self.bindings.observation(HERE) is None
            self.bindings.claim(HERE, claims, self.moment)
            if is_new and claims and self.watching:
                self.bindings.observe(HERE, self._observation(), self.moment)

    def _read(self, uid: PodUid) -> Confirmation:
        if uid not in self.posted:
            return Confirmation()
        started = self.posted[uid]
        return Confirmation((HERE,), None if started is None else at(started))


OPERATIONS: dict[str, Callable[[World, int], None]] = {
    each.__name__: each
    for each in (
        *(World.come, World.start, World.go, World.replace, World.remake, World.post),
        *(World.pass_by, World.tell, World.repeat, World.wait),
        *(World.ask, World.look_up, World.answer),
        *(World.blind, World.kill, World.recover, World.connect, World.calm),
    )
}
assert SETTLING.total_seconds() < LAPSES[-1]
