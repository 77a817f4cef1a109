"""The role document, and what EC2 tells of an instance profile."""

import base64
import hashlib
import json

from rolecall_agent.http.times import aws_time
from rolecall_proto.values import Assignment, Session


def role_document(session: Session) -> bytes:
    """Return the document of seven fields that SDKs read, in EC2's order."""
    credentials = session.credentials
    fields = {
        "Code": "Success",
        "LastUpdated": aws_time(credentials.issued_at),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal(),
        "Token": credentials.session_token.reveal(),
        "Expiration": aws_time(session.reported_until),
    }
    return _written(fields)


def role_info(assignment: Assignment, session: Session) -> bytes:
    """Return what EC2 tells of an instance profile, with the pod's role in its place.

    Tools take account and partition from the ARN. There is no profile, so its id is one that no
    other role has and that stays the same.
    """
    arn = assignment.role_arn
    digest = base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()
    fields = {
        "Code": "Success",
        "LastUpdated": aws_time(session.credentials.issued_at),
        "InstanceProfileArn": arn.replace(":role/", ":instance-profile/", 1),
        "InstanceProfileId": f"AIPA{digest[:17]}",
    }
    return _written(fields)


def _written(fields: dict[str, str]) -> bytes:
    # Line by line, because json's own indentation is done in Python and takes ten times as long.
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items())
    return "{{\n{}\n}}".format(",\n".join(lines)).encode("ascii")
