"""What a table says of itself, in comments: whose it is, of which contents, with which addresses.

It is read back from a listing, and outlives whoever has written it.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from rolecall_warden.settings import Address

_MARK = re.compile(r'"rolecall generation=([0-9]{1,12}) digest=([0-9a-f]{16})"')
_HOLDER = re.compile(r'"holder ([0-9a-f]{16})"')
# nft takes 128 characters of a comment: a namespace, a release's name, and little else.
_INSTALLATION = re.compile(r'"of ([A-Za-z0-9._/-]{1,117})"')
_ADDRESS = re.compile(r'"address ([0-9a-f.:]{2,39})"')


@dataclass(frozen=True, slots=True)
class TableComments:
    """Whose a table is, and of which contents."""

    generation: int
    digest: str
    holder: str = ""  # The name by which its warden is seen to live, as in `liveness.py`.
    installation: str = ""

    def __str__(self) -> str:
        return f"rolecall generation={self.generation} digest={self.digest}"

    def is_of_another(self, installation: str) -> bool:
        """Tell whether it is of another one than *installation*, where both have a name."""
        return bool(self.installation and installation) and self.installation != installation


def lines(comments: TableComments, addresses: Iterable[Address]) -> Iterator[str]:
    """Yield the rules of a chain that nobody jumps to."""
    facts = [str(comments)]
    if comments.holder:
        facts.append(f"holder {comments.holder}")
    if comments.installation:
        facts.append(f"of {comments.installation}")
    facts += [f"address {each}" for each in addresses]
    yield from (f'return comment "{fact}"' for fact in facts)


def parse(text: str) -> TableComments | None:
    """Read the comments in a table's listing; None where there are none that can be read."""
    found = _MARK.search(text)
    if found is None:
        return None
    holder, installation = (
        each[1] if each else "" for each in (_HOLDER.search(text), _INSTALLATION.search(text))
    )
    return TableComments(int(found[1]), found[2], holder, installation)


def parse_addresses(text: str) -> frozenset[Address]:
    """Return the addresses that the warden of a table's listing has made, as far as it says so."""
    found = set()
    for written in _ADDRESS.findall(text):
        with contextlib.suppress(ValueError):
            found.add(ip_address(written))
    return frozenset(found)
