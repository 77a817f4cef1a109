"""The role document, and times as AWS and HTTP write them."""

import base64
import hashlib
import json
from datetime import datetime

from rolecall_proto.values import Assignment, Session

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


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


def aws_time(moment: datetime) -> str:
    """Return *moment*, which is UTC, in whole seconds: botocore reads no fraction."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(moment: datetime) -> str:
    """Return *moment*, which is UTC, as a Date header has it, in English whatever the locale."""
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment:%d} {month} {moment:%Y %H:%M:%S} GMT"
