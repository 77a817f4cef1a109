"""Pods and namespaces that come and go: on their nodes first, in the API server later."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rolecall_proto.values import Address, NodeName, PodUid
from rolecall_server.model.annotations import Wish
from rolecall_server.model.pods import Pod
from simulation import scenery
from simulation.agent import Agent
from simulation.cluster import Api
from simulation.kernel import Kernel
from simulation.operations import Operation
from simulation.timeline import Calm, Timeline

MOST_PODS = 18
# How long kubelet and API server take to write down what has happened on the node, in seconds.
WRITTEN_AFTER = (0.05, 3.0)


@dataclass
class Life:
    """A pod: as the API server shall see it, and the address that it has in truth."""

    pod: Pod
    node: NodeName
    address: Address | None = None
    ended: bool = False


class Population:
    """Every pod that the API server still shows."""

    def __init__(
        self,
        timeline: Timeline,
        calm: Calm,
        kernel: Kernel,
        api: Api,
        agents: dict[NodeName, Agent],
    ) -> None:
        self._timeline = timeline
        self._calm = calm
        self._kernel = kernel
        self._api = api
        self._agents = agents
        self._lives: dict[PodUid, Life] = {}
        self._count = 0

    def ask(self, op: Operation) -> None:
        self._with_one(op, self._ask)

    def ask_all(self) -> None:
        for life in list(self._lives.values()):
            self._ask(life)

    def create(self, op: Operation) -> None:
        """Bind a new pod to a node; it has an address soon, and the API server knows it later."""
        namespace = scenery.NAMESPACES[op.pick % len(scenery.NAMESPACES)]
        if len(self._lives) >= MOST_PODS or namespace not in self._api.namespaces:
            return
        self._count += 1
        role = scenery.role(op.other)
        node = list(self._agents)[op.seed % len(self._agents)]
        pod = Pod(
            uid=PodUid(f"uid-{self._count}"),
            namespace=namespace,
            name=f"pod-{self._count}",
            service_account=scenery.ACCOUNTS[op.other % len(scenery.ACCOUNTS)],
            node=node,
            wish=None if role is None else Wish(role=role),
        )
        life = self._lives[pod.uid] = Life(pod, node)
        self._write(life)
        self._timeline.between(0.1, 2.0, lambda: self._start(life))

    def delete(self, op: Operation) -> None:
        self._with_one(op, self._delete)

    def finish(self, op: Operation) -> None:
        """Have a pod succeed: its address is free at once, its object stays."""
        self._with_one(op, self._finish)

    def change_role(self, op: Operation) -> None:
        def change(life: Life) -> None:
            role = scenery.role(op.other)
            life.pod = replace(life.pod, wish=None if role is None else Wish(role=role))
            self._write(life)

        self._with_one(op, change)

    def change_rule(self, op: Operation) -> None:
        name = scenery.NAMESPACES[op.pick % len(scenery.NAMESPACES)]
        if name in self._api.namespaces:
            self._api.put_namespace(scenery.namespace(name, op.other))
            self._disturb_pods_of(name)

    def toggle_namespace(self, op: Operation) -> None:
        """Delete a namespace with its pods, or make it again."""
        name = scenery.NAMESPACES[op.pick % len(scenery.NAMESPACES)]
        if name not in self._api.namespaces:
            self._api.put_namespace(scenery.namespace(name, op.other))
            return
        for life in [each for each in self._lives.values() if each.pod.namespace == name]:
            self._delete(life)
        self._timeline.after(WRITTEN_AFTER[1] * 2, lambda: self._drop_namespace(name))

    def _with_one(self, op: Operation, act: Callable[[Life], None]) -> None:
        if self._lives:
            act(list(self._lives.values())[op.pick % len(self._lives)])

    def _ask(self, life: Life) -> None:
        if life.address is not None:
            self._agents[life.node].ask(life.pod.uid, life.address)

    def _start(self, life: Life) -> None:
        if life.ended:
            return
        life.address = self._kernel.give(life.node, life.pod.uid)
        if life.address is not None:
            life.pod = replace(life.pod, addresses=(life.address,))
            self._disturb(life)
            self._timeline.between(*WRITTEN_AFTER, lambda: self._write(life))

    def _delete(self, life: Life) -> None:
        self._end(life)
        self._timeline.between(*WRITTEN_AFTER, lambda: self._forget(life))

    def _finish(self, life: Life) -> None:
        self._end(life)
        life.pod = replace(life.pod, finished=True)
        self._timeline.between(*WRITTEN_AFTER, lambda: self._write(life))

    def _end(self, life: Life) -> None:
        life.ended = True
        if life.address is not None:
            self._disturb(life)
            self._kernel.take_back(life.node, life.address)
            self._agents[life.node].forget(life.pod.uid)
            life.address = None

    def _forget(self, life: Life) -> None:
        self._lives.pop(life.pod.uid, None)
        self._api.drop_pod(life.pod.uid)

    def _write(self, life: Life) -> None:
        if life.pod.uid in self._lives:
            self._disturb(life)
            self._api.put_pod(life.pod)

    def _drop_namespace(self, name: str) -> None:
        if not any(life.pod.namespace == name for life in self._lives.values()):
            self._api.drop_namespace(name)

    def _disturb_pods_of(self, namespace: str) -> None:
        for life in self._lives.values():
            if life.pod.namespace == namespace:
                self._disturb(life)

    def _disturb(self, life: Life) -> None:
        self._calm.disturb(("pod", life.pod.uid))
        if life.address is not None:
            self._calm.disturb(("address", life.node, life.address), WRITTEN_AFTER[1])
