"""The two requests, as the query protocol writes them."""

from urllib.parse import urlencode

from rolecall_server.identity import Identity

_VERSION = ("Version", "2011-06-15")
CALLER_IDENTITY = urlencode([("Action", "GetCallerIdentity"), _VERSION]).encode()


def assume_role(identity: Identity) -> bytes:
    """Return the body that asks for the credentials of *identity*."""
    fields = [
        ("Action", "AssumeRole"),
        _VERSION,
        ("RoleArn", identity.role_arn),
        ("RoleSessionName", identity.session_name),
        ("DurationSeconds", str(int(identity.duration.total_seconds()))),
    ]
    if identity.external_id is not None:
        fields.append(("ExternalId", identity.external_id))
    if identity.source_identity is not None:
        fields.append(("SourceIdentity", identity.source_identity))
    if identity.policy is not None:
        fields.append(("Policy", identity.policy))
    fields += _lists(identity)
    return urlencode(fields).encode()


def _lists(identity: Identity) -> list[tuple[str, str]]:
    fields = []
    for number, (key, value) in enumerate(identity.tags, 1):
        fields.append((f"Tags.member.{number}.Key", key))
        fields.append((f"Tags.member.{number}.Value", value))
    for number, key in enumerate(identity.transitive_tags, 1):
        fields.append((f"TransitiveTagKeys.member.{number}", key))
    for number, arn in enumerate(identity.policy_arns, 1):
        fields.append((f"PolicyArns.member.{number}.arn", arn))
    return fields
