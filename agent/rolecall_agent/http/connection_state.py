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


# By names of their own: in Python 3.11 an attribute of an enumeration costs as much as a call, and
# every request would pay it.
QUEUED, IDLE, READING, THROTTLED, PARKED, BLOCKED, DRAINING, CLOSING, ABORTED = State

# Tuples, in which a member is found by identity: its hash would cost a call, too.
ANSWERING = (IDLE, READING)  # The next head may be answered.
WAITING = (QUEUED, THROTTLED, PARKED, BLOCKED)
ENDING = (DRAINING, CLOSING, ABORTED)
