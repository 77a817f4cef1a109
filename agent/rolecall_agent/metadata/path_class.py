"""Of which class a path of the metadata service is that pods are not told: as metrics name it."""

from rolecall_agent.decision import PathClass

_FOLDERS = (
    (b"meta-data/spot/", PathClass.SPOT),
    (b"meta-data/events/", PathClass.EVENTS),
    (b"meta-data/network/", PathClass.NETWORK),
    (b"meta-data/mac/", PathClass.NETWORK),
    (b"meta-data/tags/", PathClass.TAGS),
    (b"dynamic/instance-identity/", PathClass.IDENTITY_DOCUMENT),
    (b"user-data/", PathClass.USER_DATA),
)


def class_of(path: bytes) -> PathClass:
    """Return the class of *path*, whatever it is."""
    _, _, rest = path.lstrip(b"/").partition(b"/")  # Of any version.
    inside = rest + b"/"
    return next((each for folder, each in _FOLDERS if inside.startswith(folder)), PathClass.OTHER)
