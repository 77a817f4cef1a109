"""A node as its tools tell of it: one table, routing rules and addresses, in memory."""

import itertools
import json
from collections.abc import Callable, Mapping

from rolecall_warden.tools import AbsentError


class NodeTools:
    """What `nft`, `ip` and `conntrack` would say and do, of what a warden asks them."""

    def __init__(self) -> None:
        self.table: str | None = None
        self.rules: dict[str, list[str]] = {"-4": [], "-6": []}
        self.addresses: set[str] = set()
        self.puts = 0
        self.counts: dict[str, int] = {}  # The counters of the table, those that are not at zero.

    async def run(self, *command: str, say: str | None = None) -> str:
        match command:
            case ("nft", "-s", "-t", "list", "table", *_):
                if self.table is None:
                    raise AbsentError("nft: No such file or directory")
                return self.table
            case ("nft", "-f", "-"):
                assert say is not None
                self.table = say.partition("delete table inet rolecall\n")[2] or None
                self.puts += 1
                self.counts.clear()
            case ("nft", "-j", "list", "counters", *_):
                if self.table is None:
                    raise AbsentError("nft: No such file or directory")
                return counters_as_listed(self.counts)
            case ("ip", family, "-json", "rule", "show"):
                return json.dumps([_rule(words) for words in self.rules[family]])
            case ("ip", "-json", "address", "show", *_):
                return json.dumps([{"addr_info": [{"local": each} for each in self.addresses]}])
            case ("ip", family, "-batch", "-"):
                assert say is not None
                for line in say.splitlines():
                    self._change(family, line.split())
        return ""

    def _change(self, family: str, words: list[str]) -> None:
        does: dict[tuple[str, str], Callable[[], None]] = {
            ("rule", "add"): lambda: self.rules[family].append(" ".join(words[2:])),
            ("rule", "del"): lambda: self._remove(family, f"pref {words[3]} "),
            ("address", "add"): lambda: self.addresses.add(words[2].partition("/")[0]),
            ("address", "del"): lambda: self.addresses.remove(words[2].partition("/")[0]),
        }
        does[words[0], words[1]]()

    def _remove(self, family: str, begin: str) -> None:
        self.rules[family].remove(next(r for r in self.rules[family] if r.startswith(begin)))


def counters_as_listed(counts: Mapping[str, int]) -> str:
    """Return what nft says of a table's counters."""
    listed = [
        {"counter": {"family": "inet", "name": name, "table": "rolecall", "packets": count}}
        for name, count in counts.items()
    ]
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, *listed]})


def _rule(line: str) -> dict[str, object]:
    words = line.split()
    rule: dict[str, object] = {"src": "all"}
    if "nop" in words:
        rule["nop"] = None
    if "prohibit" in words:
        rule["action"] = "prohibit"
    named = {"pref": "priority", "to": "dst", "iif": "iif", "goto": "goto", "protocol": "protocol"}
    for word, value in itertools.pairwise(words):
        if word in named:
            rule[named[word]] = int(value) if word in ("pref", "goto") else value
    return rule
