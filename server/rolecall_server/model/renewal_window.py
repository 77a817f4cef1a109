"""When sessions are renewed: the one place of the numbers that the promises are reckoned from."""

from datetime import timedelta

# Renewal falls between these shares of a session's life. Early enough that an outage of STS of half
# an hour is no outage of pods, apart enough that sessions of one minute do not stay together.
EARLIEST, LATEST = 0.40, 0.48
MEAN = (EARLIEST + LATEST) / 2
LEFT_AT_LATEST = 1 - LATEST  # The share of its life that a session has left by then.

# A renewal that was not made by then, since new pods went before it, has the first place.
# Of a session of an hour 24 minutes are left then: nine until pods are told less than ten.
_ENDING = 0.40
_ENDING_AT_MOST = timedelta(minutes=30)


def ending(duration: timedelta) -> timedelta:
    """Return how much of a session of *duration* is left when it counts as ending."""
    return min(duration * _ENDING, _ENDING_AT_MOST)


# STS gives no session of less than a quarter of an hour. Half of it is room for clocks that differ.
_SHORTEST = timedelta(minutes=15)


def shortest_plausible(duration: timedelta) -> timedelta:
    """Return how long a new session of *duration* must have left to be believed."""
    return min(duration, _SHORTEST) / 2
