"""Runs the strict STS fake on its own, for benchmarks and for trying things by hand."""

import argparse
import asyncio
import contextlib
import sys
from datetime import timedelta

from fakes.sts.principals import Key, Principal, Role
from fakes.sts.server import FakeSts
from fakes.sts.throttle import Throttle


def main() -> int:
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(_arguments()))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fakes.sts", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks one; it is printed")
    parser.add_argument("--region", help="the only region to sign for (default: any)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--rate", type=float, metavar="CALLS", help="throttle beyond so many a s")
    parser.add_argument("--access-key-id", default="AKIAEXAMPLEEXAMPLE00")
    parser.add_argument("--secret-access-key", default="example/secret/of/the/strict/sts/fake000")
    parser.add_argument("--session-token", help="what belongs to temporary base credentials")
    parser.add_argument("--canary", default="", help="what every issued secret begins with")
    parser.add_argument("--principal", default="arn:aws:iam::111122223333:user/rolecall")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        type=_role,
        metavar="ARN[,external-id=X][,hours=N][,trusts=PRINCIPAL]",
        help="declare a role; may be repeated",
    )
    parser.add_argument(
        "--any-role", action="store_true", help="roles that are not declared exist and trust all"
    )
    return parser.parse_args()


def _role(text: str) -> Role:
    arn, *options = text.split(",")
    chosen = dict(option.split("=", 1) for option in options)
    if unknown := chosen.keys() - {"external-id", "hours", "trusts"}:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(sorted(unknown))}")
    return Role(
        arn,
        trusts=(chosen.get("trusts", "*"),),
        external_id=chosen.get("external-id"),
        max_session=timedelta(hours=float(chosen.get("hours", "1"))),
    )


def _key(chosen: argparse.Namespace) -> Key:
    principal = Principal(chosen.principal)
    return Key(
        chosen.access_key_id, chosen.secret_access_key, principal, token=chosen.session_token
    )


async def _serve(chosen: argparse.Namespace) -> None:
    sts = FakeSts(
        _key(chosen),
        roles=tuple(chosen.role),
        any_role=chosen.any_role,
        region=chosen.region,
        canary=chosen.canary,
    )
    sts.latency = timedelta(seconds=chosen.latency)
    if chosen.rate:
        sts.throttle = Throttle(chosen.rate, max(1, int(chosen.rate)))
    await sts.start(chosen.host, chosen.port)
    try:
        print(f"listening on {sts.url}", flush=True)  # noqa: T201 (its one line of output)
        await asyncio.Event().wait()
    finally:
        await sts.close()


if __name__ == "__main__":
    sys.exit(main())
