"""In which state a connection is: one at a time, whatever else is true of it."""

import enum


class State(enum.Enum):
    """What a connection does next."""

    QUEUED = enum.auto()  # Its pod has too many connections at once: nothing is read.
    IDLE = enum.auto()  # Nothing of a request is here.
    READING = enum.auto()  # A part of a head is here.
    THROTTLED = enum.auto()  # Its pod has had its share of this turn of the loop.
    PARKED = enum.auto()  # Its oldest request waits for what is missing.
    BLOCKED = enum.auto()  # The client does not read what is written; a request may be parked, too.
    DRAINING = enum.auto()  # It was told 400: what it still sends is thrown away.
    CLOSING = enum.auto()  # What is written is the last.
    ABORTED = enum.auto()  # Not even what is written may still arrive.


# In which the next head may be answered; and those that lead to nothing but the end. Tuples, in
# which a member is found by identity: its hash costs a call.
ANSWERING = (State.IDLE, State.READING)
ENDING = (State.DRAINING, State.CLOSING, State.ABORTED)
