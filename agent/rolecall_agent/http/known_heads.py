"""Reads heads, and remembers how they were read: what one pod has asked, others ask, too.

An SDK sends the same head again and again, but for its token; whoever asks with a running query
sends the same but for that. So both are cut out, the rest is read once, and its token is put back.
What is kept says nothing of who asked, and is the same for everybody.
"""

import re
from collections.abc import Callable

from rolecall_agent.decision import Target
from rolecall_agent.http.request import LONGEST_HEAD, Request, parse

# Heads, and bytes of one: half a megabyte at the most, at an endpoint to which pods send whatever
# they like. A node's pods have a dozen SDKs, and ask for some roles each.
MOST_KNOWN = 256
LONGEST_KNOWN = 1024

# A query, as `parse` lets it be, and the rest of the request line behind it.
_QUERY = re.compile(rb"\?[!-\"$-~]*( HTTP/1\.[01]\r\n)")
# A metadata token's header as SDKs spell it, around a token that could be right.
_TOKEN = re.compile(
    rb"\r\n(?:x-aws-ec2-metadata-token|X-[Aa]ws-[Ee]c2-[Mm]etadata-[Tt]oken): "
    rb"([0-9A-Za-z_-]{56})\r\n"
)
_TOKEN_END = b"oken: "  # Of its name.
_WITHOUT_SECRET = ((), (b"",))

Read = tuple[Request, Target]


class KnownHeads:
    """Reads heads for one endpoint, whose routes *find* knows."""

    def __init__(self, find: Callable[[bytes], Target]) -> None:
        self.parsed = 0  # Heads that were not known, which cost several times as much.
        self._find = find
        self._known: dict[bytes, Read] = {}

    def __len__(self) -> int:
        return len(self._known)

    def read(self, head: bytes) -> Read | None:
        """Return what *head* asks, and where that leads; None where it is malformed."""
        if len(head) > LONGEST_HEAD:
            return None
        at = head.find(b"?", 0, head.find(b"\r\n"))
        query = _QUERY.match(head, at) if at >= 0 else None
        rest = head if query is None else head[:at] + head[query.start(1) :]
        # Most heads have no token, and a search of bytes is fast.
        token = _TOKEN.search(rest) if _TOKEN_END in rest else None
        if token is None:
            return self._known.get(rest) or self._parse(rest)
        rest = rest[: token.start(1)] + rest[token.end(1) :]
        read = self._known.get(rest) or self._parse(rest)
        if read is None or len(read[0].tokens) > 1:
            return read  # Two tokens are wrong, whatever they are.
        return read[0].with_token(token[1]), read[1]

    def _parse(self, rest: bytes) -> Read | None:
        self.parsed += 1
        request = parse(rest)
        if request is None:
            return None
        read = request, self._find(request.path)
        # What a single pod could have sent is not kept.
        if request.tokens in _WITHOUT_SECRET and not request.authorizations:
            self._keep(rest, read)
        return read

    def _keep(self, rest: bytes, read: Read) -> None:
        if len(rest) > LONGEST_KNOWN:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()  # Whoever fills it has all others parsed anew, and no more.
        self._known[rest] = read
