"""What a warden finds when it looks at the table: its own work, damage, or somebody else's turn."""

from enum import StrEnum

from rolecall_warden import table_comments
from rolecall_warden.table_comments import TableComments


class Ownership(StrEnum):
    """Whose a table is, as its listing says."""

    IN_PLACE = "in_place"
    MISSING = "missing"  # Not there, or not as it was put there.
    OTHERS = "others"  # Another warden's, which has the right of way.


def compare(
    listing: str | None, mine: TableComments, expected: str | None, *, gone: bool = False
) -> Ownership:
    """Compare the table with what this warden has put there, which is None before it has.

    A table of a higher generation is left alone. So is another one of the same generation, once
    this warden has begun: whoever came later was told something later. With *gone* whoever has put
    it there is no more, and it is anybody's. Each keeps its own generation, so that of those who
    live the highest has the rules in the end, in whatever order they find out. Between two
    installations there is no order: whoever has the rules has them.
    """
    if listing is None:
        return Ownership.MISSING
    if expected is not None and listing == expected:
        return Ownership.IN_PLACE
    there = table_comments.parse(listing)
    if there is None or gone:
        return Ownership.MISSING
    if there.is_of_another(mine.installation) or there.generation > mine.generation:
        return Ownership.OTHERS
    later = there.generation == mine.generation and there != mine
    return Ownership.OTHERS if expected is not None and later else Ownership.MISSING
