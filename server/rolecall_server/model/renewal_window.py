"""When sessions are renewed: the one place of the numbers that the promises are reckoned from."""

# Renewal falls between these shares of a session's life. Early enough that an outage of STS of half
# an hour is no outage of pods, apart enough that sessions of one minute do not stay together.
EARLIEST, LATEST = 0.40, 0.48
MEAN = (EARLIEST + LATEST) / 2
LEFT_AT_LATEST = 1 - LATEST  # The share of its life that a session has left by then.
