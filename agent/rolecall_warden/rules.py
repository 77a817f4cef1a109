"""The packet rules as text for `nft -f`: a pure function of the settings.

All is in one table of our own, and is replaced as a whole in one transaction, so that no packet
meets half of it. No rule names an interface of a pod: a wrong prefix could open nothing. What the
host itself sends to a metadata address, none of them stops.
"""

import hashlib
from dataclasses import dataclass

from rolecall_warden import chains, table_comments
from rolecall_warden.settings import Settings
from rolecall_warden.table_comments import TableComments

FAMILY, TABLE = "inet", "rolecall"


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The rules of one warden: their *text* puts them in place of any that were there."""

    comments: TableComments
    text: str


def render(settings: Settings, *, redirect: bool = True, holder: str = "") -> Ruleset:
    """Return the whole ruleset; the guards alone without *redirect*."""
    contents = "\n".join(chains.render(settings.redirecting, redirect=redirect))
    digest = hashlib.sha256(contents.encode()).hexdigest()[:16]
    comments = TableComments(
        settings.keeping.generation, digest, holder, settings.keeping.installation
    )
    about = table_comments.lines(comments, settings.redirecting.addresses)
    table = f"{chains.chain('about', *about)}\n{contents}"
    return Ruleset(comments, f"{removal()}table {FAMILY} {TABLE} {{\n{table}}}\n")


def again(comments: TableComments, listing: str) -> Ruleset:
    """Return what puts a table there as it was listed."""
    return Ruleset(comments, removal() + listing)


def removal() -> str:
    """Return what removes the table, whether it is there or not."""
    # Declared first, so that deleting it fails nowhere.
    return f"table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"


def shape(text: str) -> dict[str, int]:
    """Return how many lines each chain of a table's text holds, whoever has written it.

    A listing spells rules as its own version of nft does; their number it does not change.
    """
    counts: dict[str, int] = {}
    chain = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
            counts[chain] = 0
        elif line == "}":
            chain = ""
        elif chain and line:
            counts[chain] += 1
    return counts
