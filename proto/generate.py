"""Write the generated gRPC modules next to their .proto files.

Run `python proto/generate.py` after an edit of a .proto file, and commit the result.
It needs the `proto` dependency group of pyproject.toml, whose versions are pinned.
"""

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent
BIN = Path(sys.executable).parent
KINDS = ("python", "grpc_python", "mypy", "mypy_grpc")


def generate(out: Path = ROOT) -> int:
    """Generate every module under *out*; return protoc's exit status."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    status: int = protoc.main(
        [
            "protoc",
            f"-I{ROOT}",
            f"-I{resources.files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy={BIN / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={BIN / 'protoc-gen-mypy_grpc'}",
            *(f"--{kind}_out={out}" for kind in KINDS),
            *sources,
        ]
    )
    return status


if __name__ == "__main__":
    sys.exit(generate())
