"""Settings: the annotations by which pods and namespaces speak to the server."""

from dataclasses import dataclass

from rolecall_common.settings import types
from rolecall_common.settings.declare import setting

# A qualified name: an optional DNS prefix of 253, a slash, and 63 characters.
_KEY = types.matching(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?",
    "an annotation's key, such as iam.amazonaws.com/role",
    "KEY",
)
# The key of the tag follows, so it may end in a dot and must be short enough for both.
_KEY_PREFIX = types.matching(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9][\w.-]{0,61}",
    "the beginning of an annotation's key, such as iam.amazonaws.com/session-tag.",
    "PREFIX",
)
_KEYS = types.several(_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSettings:
    """Which annotations are read. Of several the first that is present and not empty wins."""

    role_annotation: tuple[str, ...] = setting(
        _KEYS, "On a pod: its role.", default=("iam.amazonaws.com/role",)
    )
    external_id_annotation: tuple[str, ...] = setting(
        _KEYS, "On a pod: the external id.", default=("iam.amazonaws.com/external-id",)
    )
    session_name_annotation: tuple[str, ...] = setting(
        _KEYS, "On a pod: {name} of its session.", default=("iam.amazonaws.com/session-name",)
    )
    session_tag_annotation: tuple[str, ...] = setting(
        types.several(_KEY_PREFIX),
        "On a pod: a session tag, whose key follows.",
        default=("iam.amazonaws.com/session-tag.",),
    )
    permitted_annotation: tuple[str, ...] = setting(
        _KEYS,
        "On a namespace: a regular expression of the roles it permits.",
        default=("iam.amazonaws.com/permitted",),
    )
    allowed_roles_annotation: tuple[str, ...] = setting(
        _KEYS,
        "On a namespace: a JSON list of the roles it allows.",
        default=("iam.amazonaws.com/allowed-roles",),
    )
    default_role_annotation: tuple[str, ...] = setting(
        _KEYS,
        "On a namespace: the role of its pods without an annotation.",
        default=("iam.amazonaws.com/default-role",),
    )
    imdsv2_annotation: tuple[str, ...] = setting(
        _KEYS,
        "On a namespace: required, where metadata requests of its pods need a token.",
        default=("iam.amazonaws.com/imdsv2",),
    )
