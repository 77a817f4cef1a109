"""Write what follows from the chart's values.yaml and from the code's settings.

That is values.schema.json, and the table in the chart's README. Run `python charts/generate.py`
after a change of a value or of a setting, and commit the result; a test says when it was forgotten.
"""

import fnmatch
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import rolecall_agent.settings
import rolecall_server.settings
import rolecall_warden.settings
from rolecall_common.settings.declare import Setting, declared

CHART = Path(__file__).parent / "rolecall"
BEGIN, END = "<!-- values: written by charts/generate.py -->\n", "<!-- end of values -->"
# What the chart sets itself, and what makes no sense in a cluster.
SERVER_OWN = frozenset(
    {
        *("listen", "tlsCertificate", "tlsKey", "tokenSecretFile", "adminListen"),
        *("authentication", "agentNamespace", "agentServiceAccount", "agentAudience", "nodeGuard"),
        *("kubeconfig", "kubeContext", "manifests", "manifestNodes"),
    }
)
AGENT_OWN = frozenset(
    {
        *("adminListen", "caFile", "containerListen", "listen", "serverName", "servers"),
        *("endpointFile", "healthFile", "gracePeriod", "stateFile", "tokenFile", "wardenFile"),
    }
)
WARDEN_OWN = frozenset(
    ["endpointFile", "endpointPort", "generation", "healthFile", "installation", "moreAddresses"]
)

Schema = dict[str, Any]
Path_ = tuple[str, ...]

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
# What SDKs accept over plain HTTP.
_CONTAINER_HOST = r"127(\.[0-9]{1,3}){3}|169\.254\.170\.23|\[(::1|fd00:ec2::23)\]"
_STRINGS = {"additionalProperties": {"type": "string"}}
_PORT = {"minimum": 1024, "maximum": 65535}
_OBJECTS = {"items": {"type": "object"}}
_DAYS = {"minimum": 1, "maximum": 36500}
_SHARE = {
    "type": ["integer", "string"],
    "minimum": 0,
    "pattern": "^(100|[0-9]{1,2})%$",
}
# Of a rollout: with none at a time it would not begin, and the API server refuses it.
_SOME = _SHARE | {"minimum": 1, "pattern": "^(100|[1-9][0-9]?)%$"}
# What a value must be beyond the type of its default. The first pattern that fits counts.
CONSTRAINTS: dict[str, Schema] = {
    "nameOverride": {"pattern": f"^({_DNS_LABEL})?$", "maxLength": 40},
    "fullnameOverride": {"pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 40},
    "imagePullSecrets": {
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 1}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
    "server.replicas": {"minimum": 1},
    "*.image.registry": {"pattern": "^[A-Za-z0-9.:/_-]*$"},
    "*.image.repository": {"pattern": "^[a-z0-9][a-z0-9._/-]*$"},
    "*.image.tag": {"pattern": "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"},
    "*.image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "*.image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "*.port": _PORT,
    "*.adminPort": _PORT,
    "server.webIdentity.roleArn": {
        "pattern": "^(arn:aws[-a-z]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576})?$"
    },
    "server.webIdentity.audience": {"minLength": 1},
    "agent.tokenAudience": {"pattern": "^[!-~]{1,253}$"},
    "agent.servers": {"items": {"type": "string", "pattern": "^[^,\\s]+:[0-9]{1,5}$"}},
    "agent.containerEndpoint.listen": {
        "items": {
            "type": "string",
            "pattern": f"^({_CONTAINER_HOST}):[0-9]{{4,5}}$",
        }
    },
    "agent.serverName": {"pattern": "^[A-Za-z0-9.:-]{0,253}$"},
    "*.serviceAccount.name": {"pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"},
    "*.extraEnv": {"items": {"type": "object", "required": ["name"]}},
    "*.resources.requests": {"additionalProperties": {"type": ["string", "number"]}},
    "*.resources.limits": {"additionalProperties": {"type": ["string", "number"]}},
    "*.affinity": {},
    "agent.updateStrategy.rollingUpdate.*": _SOME,
    "*.maxUnavailable": _SHARE,
    "agent.updateStrategy.type": {"enum": ["RollingUpdate", "OnDelete"]},
    "*.revisionHistoryLimit": {"minimum": 0},
    "*.terminationGracePeriodSeconds": {"minimum": 1},
    "tls.source": {"enum": ["generated", "cert-manager", "existing"]},
    "tls.generated.renewBeforeDays": {"minimum": 0, "maximum": 36500},
    "tls.generated.*": _DAYS,
    "tls.certManager.issuerRef.name": {},
    "tls.certManager.issuerRef.*": {"minLength": 1},
    "tls.certManager.*": {"pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "minLength": 2},
    "tls.authority.pem": {"pattern": "^$|-----BEGIN CERTIFICATE-----"},
    "tls.authority.key": {"pattern": "^[-._A-Za-z0-9]+$"},
    "tokenSecret.key": {"pattern": "^[-._A-Za-z0-9]+$"},
    "*.settings": {},
}
_TYPES = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that an operator may set, and what values.yaml says about it."""

    path: Path_
    comment: str
    default: Any

    @property
    def name(self) -> str:
        return ".".join(self.path)


def leaves() -> list[Leaf]:
    """Return every leaf of values.yaml, in its order."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return list(_leaves(root, (), text.splitlines(), yaml.safe_load(text)))


def _leaves(node: yaml.Node, path: Path_, lines: list[str], value: Any) -> Iterator[Leaf]:  # noqa: ANN401 - YAML is anything
    for key, below in node.value:
        comment = _comment(lines, key.start_mark.line)
        here, default = (*path, key.value), value[key.value]
        # A mapping with a comment of its own is one value, whatever its default holds.
        if isinstance(below, yaml.MappingNode) and not comment:
            yield from _leaves(below, here, lines, default)
        else:
            yield Leaf(here, comment, default)


def _comment(lines: list[str], line: int) -> str:
    found: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].lstrip().removeprefix("#").strip())
    return " ".join(found)


def schema() -> Schema:
    """Return values.schema.json."""
    root = _closed("Values of the chart rolecall.")
    root = {"$schema": "http://json-schema.org/draft-07/schema#", **root}
    # A chart that includes this one hands both down.
    root["properties"]["global"] = {
        "type": "object",
        "description": "Values of a chart that includes this one; not read here.",
    }
    root["properties"]["enabled"] = {
        "type": "boolean",
        "description": "The condition by which a chart may include this one; not read here.",
    }
    for leaf in leaves():
        place = root
        for name in leaf.path[:-1]:
            place = place["properties"].setdefault(name, _closed())
        place["properties"][leaf.path[-1]] = _leaf_schema(leaf)
    return root


def _closed(description: str = "") -> Schema:
    described = {"description": description} if description else {}
    return {"type": "object", **described, "additionalProperties": False, "properties": {}}


def _leaf_schema(leaf: Leaf) -> Schema:
    kind = _TYPES[type(leaf.default)]
    usual: Schema = {"object": _STRINGS, "array": _OBJECTS}.get(kind, {})
    own = next((c for p, c in CONSTRAINTS.items() if fnmatch.fnmatchcase(leaf.name, p)), usual)
    made: Schema = {"type": kind, "description": leaf.comment, **own}
    if leaf.path == ("server", "settings"):
        made |= _settings(rolecall_server.settings.Settings, SERVER_OWN)
    elif leaf.path == ("agent", "settings"):
        made |= _settings(rolecall_agent.settings.Settings, AGENT_OWN)
    elif leaf.path == ("warden", "settings"):
        made |= _settings(rolecall_warden.settings.Settings, WARDEN_OWN)
    return made


def _settings(kind: type[object], own: frozenset[str]) -> Schema:
    offered = [each for each in declared(kind) if each.name not in own]
    return {
        "additionalProperties": False,
        "properties": {each.name: _setting_schema(each) for each in offered},
    }


def _setting_schema(setting: Setting) -> Schema:
    """Say what the code's own type accepts, as far as a schema can; the code has the last word."""
    value_type = setting.type
    made: Schema = {"description": f"{setting.help} Accepted: {value_type.accepted}."}
    numbers = re.fullmatch(r"a (whole )?number from ([0-9.]+) to ([0-9.]+)", value_type.accepted)
    if value_type.switch:
        return made | {"type": "boolean"}
    if numbers:
        whole, least, most = numbers.groups()
        bounds = {"minimum": float(least), "maximum": float(most)}
        return made | {"type": "integer" if whole else "number", **bounds}
    if value_type.many and "=" in value_type.metavar:
        return made | {"type": "object", "additionalProperties": {"type": "string"}}
    if value_type.many:
        # Account numbers and the like lose their digits unless they are quoted.
        return made | {"type": ["array", "string"], "items": {"type": "string"}}
    if "|" in value_type.metavar:
        return made | {"enum": value_type.metavar.split("|")}
    return made | {"type": "string"}


def table() -> str:
    """Return the table of the chart's README."""
    rows = [f"| `{leaf.name}` | `{_shown(leaf.default)}` | {leaf.comment} |" for leaf in leaves()]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def readme() -> str:
    """Return the chart's README, with the table that is current."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def files() -> dict[Path, str]:
    """Return every file that is written here, with its content."""
    made = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    return {CHART / "values.schema.json": made, CHART / "README.md": readme()}


def main() -> int:
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
