"""How much of what was known is not known any more."""

import enum


class Extent(enum.IntEnum):
    """Some news were lost, or are not read yet: what they may be about. A larger one holds both."""

    NOTHING = 0
    BRIDGES = 1  # What is behind bridges: who has an address there, and by which port.
    EVERYTHING = 2
