"""Whether what started in a pod proves that a link is the pod's.

When its sandbox or a container of it started, a pod had its address, by a link of its own. If the
link that has the address now was there already, and none since that may have been the pod's, then
this one is. A claim without such a start may be of any age, however freshly it was read.

Links are born at the latest when they are said to be; starts are whole seconds with the rest cut
off. So a start in the very second of the birth is before it or after it. It is after it where
nobody else had the address in that second: the pod must have had it from somewhere.
"""

import enum
from datetime import datetime, timedelta

from rolecall_agent.witness.entries import Entry
from rolecall_agent.witness.observation import LinkId
from rolecall_proto.values import PodUid

# A start that is to come was written before the clock was set back, and says nothing.
_AHEAD = timedelta(seconds=1)


class Proof(enum.IntEnum):
    NONE = 0
    SAME_SECOND = 1  # As that of the birth, and who had the address in it was not seen.
    WHOLE = 2


def proof(entry: Entry, link: LinkId, uid: PodUid, unseen_until: datetime, now: datetime) -> Proof:
    """Return what is proved by the last start of *uid*, which is claimed at *entry*.

    *unseen_until* is when it came to be known, at the latest, which links the address has.
    """
    started_at = entry.claims[uid]
    if started_at is None or started_at > now + _AHEAD:
        return Proof.NONE
    second = link.born_at.replace(microsecond=0)
    if started_at < max(second, _rival_until(entry, link, uid)):
        return Proof.NONE
    if started_at >= link.born_at or started_at >= unseen_until:
        return Proof.WHOLE
    return Proof.SAME_SECOND


def _rival_until(entry: Entry, link: LinkId, uid: PodUid) -> datetime:
    """Return until when another link than *link* may have been that of *uid*, as far as is known.

    Those that are known to be another pod's are not.
    """
    rivals = (rival for other, rival in entry.rivals.items() if other != link)
    untils = [rival.until for rival in rivals if rival.uid in (None, uid)]
    return max(untils, default=entry.rivals_until)
