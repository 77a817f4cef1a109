"""The chart in a real cluster."""

import json
from typing import Any

from chart.rendering import CHART
from testcluster.cluster import Cluster

# Among them what makes the guard look at labels as well.
VALUES = {"server": {"settings": {"sessionTags": {"stage": "{label:stage}"}}}}
# Tests share a cluster, in which a release may stand for all of them.
BESIDE = {"agent": {"besideOtherReleases": True}}


class Release:
    """The chart, installed in a namespace under the namespace's name."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace
        self.name = f"{namespace}-rolecall"

    async def helm(self, command: str, *flags: str, values: dict[str, Any] | None = None) -> str:
        return await self._cluster.helm(
            *(command, self.namespace, str(CHART), "--namespace", self.namespace),
            *("--values", "-", *flags),
            given=json.dumps({**BESIDE, **(values or VALUES)}),
        )

    async def uninstall(self, *flags: str) -> None:
        await self._cluster.helm("uninstall", self.namespace, "--namespace", self.namespace, *flags)
