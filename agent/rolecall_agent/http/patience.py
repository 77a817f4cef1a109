"""For how long a held request is kept waiting, and what is said to its client meanwhile.

An SDK gives up after a second of silence, and not before its answer is whole while something comes.
Every answer begins with the same nine bytes, whatever it will be; so these are sent one by one.
"""

from dataclasses import dataclass

from rolecall_agent.decision import Answer, Missing
from rolecall_agent.http.request import ReceivedRequest
from rolecall_common.secret import NotPickled

BEGINNING = b"HTTP/1.1 "  # Of every answer, to HTTP/1.0 and to HEAD as well.
# Seconds between two of its bytes. Go waits for half a second, for the first one at least; the
# others for one.
STEP = 0.4
# Seconds. Measured with sixteen SDKs: none is lost whose pod or credentials come after 3 s. The
# nine bytes would do for 4.0 s.
PATIENT_HOLD = 3.4

_RUST = b"aws-sdk-rust/"


def times_out_in_all(head: bytes) -> bool:
    """Whether the SDK that sent *head* counts the time until a whole answer, not that of silence.

    AWS' for Rust does, at the metadata endpoint, and does not ask again after it; after a 503 it
    does. The others that count so ask again.
    """
    after_name = head.lower().partition(b"\r\nuser-agent:")[2]
    return _RUST in after_name.partition(b"\r\n")[0]


@dataclass(slots=True)
class ParkedRequest(NotPickled):
    """The request that waits, and behind it all others of its connection."""

    received: ReceivedRequest
    missing: Missing
    otherwise: Answer  # What it gets at the end of the hold.
    until: float  # On the loop's clock: the end of the hold.
    patient: bool  # Whether the beginning of its answer is sent meanwhile.
    begun: int = 0  # Bytes of BEGINNING that were sent.

    def begin(self, now: float) -> bytes:
        """Return what is to be sent at *now*, once."""
        due = min(int((now - self.received.at) / STEP), len(BEGINNING)) if self.patient else 0
        sent, self.begun = self.begun, max(self.begun, due)
        return BEGINNING[sent : self.begun]

    def next_moment(self) -> float:
        """Return when something is to be done: to send a byte, or to end the hold."""
        if not self.patient or self.begun == len(BEGINNING):
            return self.until
        return min(self.until, self.received.at + (self.begun + 1) * STEP)
