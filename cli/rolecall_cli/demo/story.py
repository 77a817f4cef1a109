"""What the demo shows, act by act. Each act checks what it tells, and fails where it is not so."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rolecall_cli.demo.pods import Answer, DemoPod
from rolecall_cli.demo.processes import DemoError
from rolecall_cli.demo.stage import Stage, cluster

NO_ROLE = "  annotations: {}"
A_ROLE = "  annotations: {{iam.amazonaws.com/role: {}}}"

Say = Callable[[str], None]


@dataclass(slots=True)
class Story:
    """The acts, in order, on one stage; *say* prints a line."""

    stage: Stage
    say: Say

    async def tell(self) -> None:
        await self.who_gets_what()
        await self.a_role_changes()
        await self.a_pod_dies()
        await self.the_server_goes_and_returns()

    async def who_gets_what(self) -> None:
        """Let every pod ask twice, with a new SDK session each time."""
        rows: list[tuple[str, ...]] = [("pod", "its annotation", "what boto3 got", "first", "warm")]
        got: dict[str, Answer] = {}
        for pod in self.stage.pods:
            first, warm = await pod.ask(), await pod.ask()
            got[pod.name] = warm
            times = (_milliseconds(first), _milliseconds(warm))
            rows.append(
                (
                    pod.name,
                    pod.role.replace("arn:aws:iam::", "…") or "(no role)",
                    self._what(pod, warm),
                    *times,
                )
            )
        self.say("Who asked, and what it got\n")
        for line in table(rows):
            self.say("  " + line)
        self.say(f"\n  {len(self.stage.calls())} calls of AssumeRole: one for each role in use.\n")
        _expect_first_answers(got, self.stage)

    def _what(self, pod: DemoPod, answer: Answer) -> str:
        if answer.arn is not None:
            return answer.text
        why = self.stage.denials().get(pod.name, "") if pod.role else "names no role"
        return f"nothing: {why}" if why else "nothing"

    async def a_role_changes(self) -> None:
        """Give the pod without a role one, and then another, while it runs."""
        pod = self._pod("toolbox")
        self.say("A role changes while the pod runs\n")
        before = NO_ROLE
        for role in ("orders-reader", "orders-writer"):
            start = time.monotonic()
            self.stage.edit("toolbox.yaml", before, A_ROLE.format(role))
            answer = await pod.ask_until(role)
            took = (time.monotonic() - start) * 1000
            self.say(f"  {pod.name} is annotated {role}: {took:.0f} ms later it is {answer.text}")
            before = A_ROLE.format(role)
        self.say("")

    async def a_pod_dies(self) -> None:
        """Scale a Deployment down: the pod that goes has nothing, although it still asks."""
        before = {pod.uid for pod in cluster(self.stage.layout).pods}
        self.stage.edit("orders.yaml", "replicas: 2", "replicas: 1")
        gone = before - {pod.uid for pod in cluster(self.stage.layout).pods}
        dead = next(pod for pod in self.stage.pods if pod.pod.uid in gone)
        other = next(pod for pod in self.stage.pods if pod.is_sibling(dead))
        await dead.ask_until(None)
        answer = await other.ask_until("orders-reader")
        self.stage.pods.remove(dead)
        self.say("A pod dies\n")
        self.say(f"  {dead.name} is scaled away: its address gets nothing any more")
        self.say(f"  {other.name} is still {answer.text}\n")

    async def the_server_goes_and_returns(self) -> None:
        """Stop the server, which no pod notices; back, it calls STS for nobody who is served."""
        self.say("The server goes, and returns\n")
        await self.stage.stop("server")
        served = await self._served()
        self.say(f"  stopped: all {served} pods with a role are still served")
        calls = len(self.stage.calls())
        await self.stage.start("server")
        await self.stage.wait_ready("server")
        # Only a server that the agent has found again can tell it of a change.
        self.stage.edit("toolbox.yaml", A_ROLE.format("orders-writer"), A_ROLE.format("orders-new"))
        await self._pod("toolbox").ask_until("orders-new")
        more = self.stage.calls()[calls:]
        if [str(role).rpartition("/")[2] for role in more] != ["orders-new"]:
            raise DemoError(f"the server called STS for {more} when it returned")
        served = await self._served()
        self.say(f"  back: {served} pods are served as before, with no call of AssumeRole for them")
        self.say("  and one for the role that toolbox names since: orders-new\n")

    async def _served(self) -> int:
        wanting = [pod for pod in self.stage.pods if self._may_have_role(pod)]
        for pod in wanting:
            if (await pod.ask()).arn is None:
                raise DemoError(f"{pod.name} gets nothing")
        return len(wanting)

    def _may_have_role(self, pod: DemoPod) -> bool:
        return not pod.name.startswith("sandbox/")

    def _pod(self, start: str) -> DemoPod:
        return next(pod for pod in self.stage.pods if pod.pod.name.startswith(start))


def _expect_first_answers(got: dict[str, Answer], stage: Stage) -> None:
    """Raise DemoError where a pod has what it should not, or has not what it should."""
    for pod in stage.pods:
        permitted = bool(pod.role) and pod.pod.namespace != "sandbox"
        answer = got[pod.name]
        expected = pod.role.rpartition("/")[2]
        if permitted and f":assumed-role/{expected}/" not in str(answer.arn):
            raise DemoError(f"{pod.name} names {pod.role} and has {answer.text}")
        if not permitted and answer.arn is not None:
            raise DemoError(f"{pod.name} may have no role and has {answer.text}")


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return *rows* as lines with aligned columns; the first is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _milliseconds(answer: Answer) -> str:
    return f"{answer.milliseconds:.1f} ms"
