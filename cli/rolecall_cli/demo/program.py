"""What runs in each pod of the demo: boto3 as it comes, asked by lines on standard input.

`ask` opens a session as any program does at its start, and asks STS who it is. `until ROLE` asks
until that role is what it has (`until -`: until it has nothing), as a program that is patient.
Each answer is one line of JSON.
"""

import json
import sys
import time

import boto3  # type: ignore[import-untyped]  # it has no types
import botocore.exceptions  # type: ignore[import-untyped]  # it has no types

_PATIENCE = 10.0  # Seconds; a change takes effect in a fraction of one.
_PAUSE = 0.02


def ask() -> dict[str, object]:
    """Take credentials from the default chain, and say whose they are."""
    session = boto3.Session()
    start = time.perf_counter()
    credentials = session.get_credentials()
    took = time.perf_counter() - start
    if credentials is None:
        return {"milliseconds": took * 1000, "arn": None}
    caller = session.client("sts").get_caller_identity()
    return {
        "milliseconds": took * 1000,
        "arn": caller["Arn"],
        "method": credentials.method,
        "key": credentials.get_frozen_credentials().access_key,
    }


def until(role: str) -> dict[str, object]:
    """Ask until the role's name is *role*, or there is none where *role* is a dash."""
    deadline = time.monotonic() + _PATIENCE
    answer = ask()
    while not _is(role, answer) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        answer = ask()
    return answer


def _is(role: str, answer: dict[str, object]) -> bool:
    arn = answer["arn"]
    return arn is None if role == "-" else f":assumed-role/{role}/" in str(arn)


def main() -> None:
    boto3.Session().client("sts")  # Loads what every later session would wait for.
    _say({"ready": True})
    for line in sys.stdin:
        word, _, role = line.strip().partition(" ")
        try:
            _say(until(role) if word == "until" else ask())
        except botocore.exceptions.BotoCoreError as error:
            _say({"error": str(error)})


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
