"""The two requests, as the query protocol writes them."""

from urllib.parse import quote, urlencode

from rolecall_server.model.identity import Identity

CALLER_IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"


def assume_role(identity: Identity) -> bytes:
    """Return the body that asks for the credentials of *identity*."""
    body = (
        f"Action=AssumeRole&Version=2011-06-15&RoleArn={quote(identity.role_arn, '')}"
        f"&RoleSessionName={quote(identity.session_name, '')}"
        f"&DurationSeconds={int(identity.duration.total_seconds())}"
    )
    if optional := _optional(identity):
        body += f"&{urlencode(optional)}"
    return body.encode()


def _optional(identity: Identity) -> list[tuple[str, str]]:
    fields = [
        (name, value)
        for name, value in (
            ("ExternalId", identity.external_id),
            ("SourceIdentity", identity.source_identity),
            ("Policy", identity.policy),
        )
        if value is not None
    ]
    for number, (key, value) in enumerate(identity.tags, 1):
        fields.append((f"Tags.member.{number}.Key", key))
        fields.append((f"Tags.member.{number}.Value", value))
    for number, key in enumerate(identity.transitive_tags, 1):
        fields.append((f"TransitiveTagKeys.member.{number}", key))
    for number, arn in enumerate(identity.policy_arns, 1):
        fields.append((f"PolicyArns.member.{number}.arn", arn))
    return fields
