"""Every limit of `AssumeRole`: a form comes in, a checked request or a refusal comes out.

Numbers and alphabets are those of the service model (sts 2011-06-15) and the IAM user guide.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from fakes.sts.principals import is_arn
from fakes.sts.refusal import RefusalError, invalid, unmet

_NAME = re.compile(r"[\w+=,.@-]*", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]*", re.ASCII)
_TAG = re.compile(r"[\w \u00a0_.:/=+\-@]*")
_POLICY = re.compile(r"[\t\n\r\u0020-\u00ff]+")
_MEMBER = re.compile(r"(PolicyArns|Tags|TransitiveTagKeys)\.member\.([1-9]\d{0,3})(?:\.(\w+))?")
_SCALARS = frozenset(
    {"Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"}
    | {"Policy", "SourceIdentity", "SerialNumber", "TokenCode", "MinimumSessionTokenSize"}
)
_POLICY_TEXT_MAX = 2048


@dataclass(frozen=True, slots=True)
class AssumeRole:
    """A request that is within all limits which need no knowledge of the role."""

    role_arn: str
    session_name: str
    duration: timedelta
    external_id: str | None
    source_identity: str | None
    policy: str | None
    policy_arns: tuple[str, ...]
    tags: Mapping[str, str]
    transitive_keys: tuple[str, ...]


def read_assume_role(form: Mapping[str, str]) -> AssumeRole:
    lists = _lists(form)
    tags = _tags(lists["Tags"])
    policy = form.get("Policy")
    policy_arns = tuple(entry.get("arn", "") for entry in lists["PolicyArns"])
    _check_policies(policy, policy_arns)
    return AssumeRole(
        role_arn=_role_arn(form),
        session_name=_text(form, "RoleSessionName", 2, 64, _NAME) or _missing("roleSessionName"),
        duration=_duration(form.get("DurationSeconds", "3600")),
        external_id=_text(form, "ExternalId", 2, 1224, _EXTERNAL_ID),
        source_identity=_text(form, "SourceIdentity", 2, 64, _NAME),
        policy=policy,
        policy_arns=policy_arns,
        tags=tags,
        transitive_keys=_transitive(lists["TransitiveTagKeys"], tags),
    )


def _missing(name: str) -> str:
    raise unmet(name, "null", "not be null")


def _role_arn(form: Mapping[str, str]) -> str:
    arn = form.get("RoleArn") or _missing("roleArn")
    if len(arn) < 20:
        raise unmet("roleArn", arn, "have length greater than or equal to 20")
    if len(arn) > 2048:
        raise unmet("roleArn", arn, "have length less than or equal to 2048")
    if not is_arn(arn):
        raise invalid(f"{arn} is invalid")
    return arn


def _text(
    form: Mapping[str, str], name: str, least: int, most: int, alphabet: re.Pattern[str]
) -> str | None:
    value = form.get(name)
    if value is None:
        return None
    member = name[0].lower() + name[1:]
    if len(value) < least:
        raise unmet(member, value, f"have length greater than or equal to {least}")
    if len(value) > most:
        raise unmet(member, value, f"have length less than or equal to {most}")
    if not alphabet.fullmatch(value):
        raise unmet(member, value, f"satisfy regular expression pattern: {alphabet.pattern}")
    return value


def _duration(text: str) -> timedelta:
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        raise RefusalError(400, "MalformedInput", "DurationSeconds is not a number")
    seconds = int(text)
    if seconds < 900:
        raise unmet("durationSeconds", text, "have value greater than or equal to 900")
    if seconds > 43_200:
        raise unmet("durationSeconds", text, "have value less than or equal to 43200")
    return timedelta(seconds=seconds)


def _lists(form: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Return the query protocol's lists, each numbered from 1 without a gap."""
    entries: dict[str, dict[int, dict[str, str]]] = {}
    for name, value in form.items():
        if name in _SCALARS:
            continue
        found = _MEMBER.fullmatch(name)
        if found is None:
            raise invalid(f"Unknown parameter: {name}")
        entries.setdefault(found[1], {}).setdefault(int(found[2]), {})[found[3] or ""] = value
    return {
        kind: _in_order(kind, entries.get(kind, {}))
        for kind in ("PolicyArns", "Tags", "TransitiveTagKeys")
    }


def _in_order(kind: str, entries: dict[int, dict[str, str]]) -> list[dict[str, str]]:
    if sorted(entries) != list(range(1, len(entries) + 1)):
        raise RefusalError(400, "MalformedInput", f"{kind} is not numbered from 1 without a gap")
    return [entries[number] for number in sorted(entries)]


def _tags(entries: list[dict[str, str]]) -> dict[str, str]:
    if len(entries) > 50:
        raise unmet("tags", str(len(entries)), "have length less than or equal to 50")
    tags: dict[str, str] = {}
    for entry in entries:
        if entry.keys() != {"Key", "Value"}:
            raise invalid("A tag has a Key and a Value")
        key, value = entry["Key"], entry["Value"]
        if not 1 <= len(key) <= 128 or not _TAG.fullmatch(key):
            raise unmet("tags.member.key", key, "be 1 to 128 of the tag alphabet")
        if len(value) > 256 or not _TAG.fullmatch(value):
            raise unmet("tags.member.value", value, "be at most 256 of the tag alphabet")
        if key.lower().startswith("aws:"):
            raise invalid("Tag keys must not start with aws:")
        tags[key] = value
    if len({key.casefold() for key in tags}) != len(entries):
        raise RefusalError(400, "InvalidParameterValue", "Duplicate tag keys found.")
    return tags


def _transitive(entries: list[dict[str, str]], tags: Mapping[str, str]) -> tuple[str, ...]:
    keys = tuple(entry.get("", "") for entry in entries)
    if len(keys) > 50:
        raise unmet("transitiveTagKeys", str(len(keys)), "have length less than or equal to 50")
    if unknown := set(keys).difference(tags):
        raise RefusalError(
            400, "InvalidParameterValue", f"Transitive tag keys {sorted(unknown)} are not tags."
        )
    return keys


def _check_policies(policy: str | None, arns: tuple[str, ...]) -> None:
    if len(arns) > 10:
        raise unmet("policyArns", str(len(arns)), "have length less than or equal to 10")
    for arn in arns:
        if not re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\x21-\x7e]+", arn, re.ASCII):
            raise invalid(f"{arn} is invalid")
    if policy is not None:
        _check_policy(policy)
    if sum(map(len, arns)) + len(policy or "") > _POLICY_TEXT_MAX:
        raise unmet("policy", "…", f"have length less than or equal to {_POLICY_TEXT_MAX}")


def _check_policy(policy: str) -> None:
    if not _POLICY.fullmatch(policy):
        raise unmet("policy", policy, "satisfy the alphabet of policies")
    try:
        statements = json.loads(policy)["Statement"]
        entries: Iterable[Mapping[str, object]] = (
            statements if isinstance(statements, list) else [statements]
        )
        sound = all(
            entry["Effect"] in ("Allow", "Deny") and {"Action", "NotAction"} & entry.keys()
            for entry in entries
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise RefusalError(400, "MalformedPolicyDocument", "Syntax errors in policy.")
