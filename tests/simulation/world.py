"""The whole of it: nodes, pods, servers and STS in one place, and what operations do to them."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from rolecall_proto.values import NodeName
from simulation import scenery
from simulation.agent import Agent
from simulation.cluster import Api
from simulation.faults import Faults
from simulation.kernel import Kernel
from simulation.operations import Operation
from simulation.oracle import FORGIVEN_AFTER, Oracle
from simulation.population import Population
from simulation.server import Brokers, Server, sound_broker
from simulation.sts import Sts
from simulation.timeline import Calm, Timeline

NODES = tuple(NodeName(f"node-{n}") for n in range(3))
SERVERS = 2


class World:
    """Does operations, lets time pass, and has the oracle look at every answer."""

    def __init__(self, brokers: Brokers = sound_broker) -> None:
        self.timeline = Timeline()
        self.sts = Sts(self.timeline)
        calm, kernel, api = Calm(self.timeline), Kernel(), Api()
        self.oracle = Oracle(self.timeline, calm, self.sts)
        self.servers = [Server(n, self.timeline, api, self.sts, brokers) for n in range(SERVERS)]
        self.agents = {
            node: Agent(node, self.timeline, self.servers, self.oracle.judge) for node in NODES
        }
        for number, node in enumerate(NODES):
            kernel.add_node(node, number)
        for name in scenery.NAMESPACES:
            api.put_namespace(scenery.namespace(name, 0))
        self.population = Population(self.timeline, calm, kernel, api, self.agents)
        self.faults = Faults(self.timeline, calm, self.sts, self.servers, self.agents)
        for server in self.servers:
            server.start()
        for agent in self.agents.values():
            agent.seek()

    def run(self, operations: Iterable[Operation]) -> None:
        """Do *operations*, then let everything heal and ask once more for every pod.

        Raises ViolationError as soon as a promise is broken.
        """
        acts = self._acts()
        for operation in operations:
            self._pass(operation.wait)
            self.timeline.dice.seed(operation.seed)
            acts[operation.kind](operation)
            self._settle()
        self.faults.heal()
        self._pass(FORGIVEN_AFTER + 60)
        self.population.ask_all()
        self._pass(2)

    def _acts(self) -> dict[str, Callable[[Operation], None]]:
        population, faults = self.population, self.faults
        return {
            "ask": population.ask,
            "create": population.create,
            "delete": population.delete,
            "finish": population.finish,
            "change-role": population.change_role,
            "change-rule": population.change_rule,
            "toggle-namespace": population.toggle_namespace,
            "cut-stream": faults.cut_stream,
            "restart-agent": faults.restart_agent,
            "stop-server": faults.stop_server,
            "stick-watch": faults.stick_watch,
            "relist": faults.relist,
            "sts-down": faults.sts_down,
            "sts-throttles": faults.sts_throttles,
            "sts-refuses": faults.sts_refuses,
        }

    def _pass(self, seconds: float) -> None:
        self.timeline.run_until(self.timeline.now + timedelta(seconds=seconds), self._settle)

    def _settle(self) -> None:
        for server in self.servers:
            server.settle()
