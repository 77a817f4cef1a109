"""What goes wrong: servers, streams, watches, agents and STS."""

from datetime import timedelta

from rolecall_proto.values import NodeName
from simulation import scenery
from simulation.agent import Agent
from simulation.cluster import NAMESPACES, PODS
from simulation.operations import Operation
from simulation.server import Server
from simulation.sts import Sts
from simulation.timeline import Calm, Timeline


class Faults:
    """Does one at a time; several may last at once."""

    def __init__(
        self,
        timeline: Timeline,
        calm: Calm,
        sts: Sts,
        servers: list[Server],
        agents: dict[NodeName, Agent],
    ) -> None:
        self._timeline = timeline
        self._calm = calm
        self._sts = sts
        self._servers = servers
        self._agents = agents

    def cut_stream(self, op: Operation) -> None:
        agent = self._agent(op)
        self._calm.disturb(("node", agent.node))
        agent.cut()
        self._timeline.between(0.1, 2.0, agent.seek)

    def restart_agent(self, op: Operation) -> None:
        agent = self._agent(op)
        self._calm.disturb(("node", agent.node))
        agent.restart()
        self._timeline.between(0.1, 2.0, agent.seek)

    def stop_server(self, op: Operation) -> None:
        """Have a server die and come back knowing nothing; its agents look for another."""
        server = self._server(op)
        if server.broker is None:
            return
        self._calm.disturb(("server", server.number), op.seconds)
        agents = [self._agents[link.node] for link in server.links]
        server.stop()
        for agent in agents:
            self._calm.disturb(("node", agent.node))
            self._timeline.between(0.1, 2.0, agent.seek)
        self._timeline.after(op.seconds, lambda: self._start(server))

    def stick_watch(self, op: Operation) -> None:
        """Have the watch of one server tell nothing for a while, and then all of it."""
        server = self._server(op)
        if server.watch is not None:
            self._calm.disturb(("server", server.number), op.seconds)
            until = self._timeline.now + timedelta(seconds=op.seconds)
            server.watch.stuck_until = max(until, server.watch.stuck_until)

    def relist(self, op: Operation) -> None:
        server = self._server(op)
        if server.watch is not None:
            server.watch.relist(PODS if op.other % 2 else NAMESPACES)

    def sts_down(self, op: Operation) -> None:
        self._calm.disturb("sts", op.seconds)
        self._sts.down_until = self._timeline.now + timedelta(seconds=op.seconds)

    def sts_throttles(self, op: Operation) -> None:
        self._calm.disturb("sts", op.seconds)
        self._sts.throttles_until = self._timeline.now + timedelta(seconds=op.seconds)

    def sts_refuses(self, op: Operation) -> None:
        """Break the trust policy of one role for a while."""
        arn = scenery.ARNS[op.pick % len(scenery.ARNS)]
        self._calm.disturb(("role", arn), op.seconds)
        self._sts.refuses_until[arn] = self._timeline.now + timedelta(seconds=op.seconds)

    def heal(self) -> None:
        """End everything that lasts, and have every server told everything."""
        now = self._timeline.now
        self._sts.down_until = self._sts.throttles_until = now
        self._sts.refuses_until.clear()
        for server in self._servers:
            self._start(server)
            if server.watch is not None:
                server.watch.stuck_until = now
                server.watch.relist(PODS)
                server.watch.relist(NAMESPACES)
        self._calm.forgive()

    def _start(self, server: Server) -> None:
        if server.broker is None:
            server.start()

    def _agent(self, op: Operation) -> Agent:
        return list(self._agents.values())[op.pick % len(self._agents)]

    def _server(self, op: Operation) -> Server:
        return self._servers[op.pick % len(self._servers)]
