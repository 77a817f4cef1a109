"""The generated modules are what the pinned generator makes of broker.proto."""

import importlib.metadata
import runpy
from pathlib import Path

import pytest

import rolecall_proto
from rolecall_proto.v1 import broker_pb2

PROTO = Path(rolecall_proto.__file__).parents[1]
TOOLS = {"grpcio-tools": "1.85.1", "mypy-protobuf": "5.1.0"}  # As pyproject.toml pins them.


def test_generated_modules_are_current(tmp_path: Path) -> None:
    """The checked-in modules are the generator's own; else run `python proto/generate.py`."""
    for tool, pinned in TOOLS.items():
        try:
            found = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"needs {tool}, of the `proto` dependency group")
        if found != pinned:
            pytest.skip(f"needs {tool} {pinned}, not {found}")
    generate = runpy.run_path(str(PROTO / "generate.py"))["generate"]

    assert generate(tmp_path) == 0
    fresh = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*_pb2*")}
    kept = {
        path.relative_to(PROTO): path.read_text()
        for path in PROTO.rglob("*_pb2*")
        if "__pycache__" not in path.parts
    }
    assert fresh == kept


def test_no_request_names_a_node() -> None:
    """The node is derived from the token, so that there is no field to lie in."""
    for request in (broker_pb2.WatchNodeRequest, broker_pb2.ResolvePodsRequest):
        assert not [field.name for field in request.DESCRIPTOR.fields if "node" in field.name]
