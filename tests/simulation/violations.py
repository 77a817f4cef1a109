"""What must never be seen, by name."""


class ViolationError(AssertionError):
    """A promise was broken. *promise* is the same for every way of breaking it."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"{promise}: {detail}")
        self.promise = promise


NEVER_ANOTHERS = "never another pod's credentials"
NEVER_ENDED = "never credentials that have ended"
NEVER_LATE = "never late while STS answers"
NEVER_LEFT_WAITING = "never left waiting while everything works"
NEVER_WRONGLY_REFUSED = "never refused without a reason"
ONE_CALL = "one call per identity and interval"
NEVER_RAISES = "nothing ever raises"
NO_SPINNING = "the queue never spins"
