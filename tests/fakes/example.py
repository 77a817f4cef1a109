"""The example of docs/container-endpoint.md, for tests that compare it with the code and run it."""

import re
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).parents[2] / "docs" / "container-endpoint.md"
_EXAMPLE = re.compile(r"<!-- the example: a test runs it -->\n```yaml\n(.*?)```", re.DOTALL)


def container_pod() -> dict[str, Any]:
    """Return the manifest of the page's pod."""
    [text] = _EXAMPLE.findall(PAGE.read_text())
    manifest: dict[str, Any] = yaml.safe_load(text)
    return manifest


def environment_of(pod: dict[str, Any]) -> dict[str, str]:
    """Return what its container has in its environment."""
    [container] = pod["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def token_of(pod: dict[str, Any]) -> dict[str, Any]:
    """Return how its token is projected: path, audience, expirationSeconds."""
    # The API server adds a volume of its own, with the token for itself.
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == "rolecall-credentials"]
    [source] = volume["projected"]["sources"]
    projected: dict[str, Any] = source["serviceAccountToken"]
    return projected
