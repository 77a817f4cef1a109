"""Asks as an application with boto3 does: no setting of its own, the default chain.

What its lines are: see ../go/main.go.
"""

import json
import sys

import boto3


def main() -> None:
    session = boto3.Session()
    _say("ready")
    for _ in sys.stdin:
        _say(_ask(session))


def _ask(session: boto3.Session) -> dict[str, str]:
    found = session.get_credentials()
    if found is None:
        return {"arn": "", "key": "", "error": "no credentials"}
    arn = session.client("sts").get_caller_identity()["Arn"]
    return {"arn": arn, "key": found.access_key, "error": ""}


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
