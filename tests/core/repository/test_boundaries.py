"""Two places may catch any exception, each around one object; there is no third."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = ("agent", "server", "proto", "common", "cli")
BROAD = {"Exception", "BaseException"}


def names(node: ast.expr | None) -> set[str]:
    """Return what an except clause catches; an empty clause catches everything."""
    if node is None:
        return {"BaseException"}
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {part.id if isinstance(part, ast.Name) else ast.unparse(part) for part in parts}


def broad_handlers(path: Path) -> Iterator[str]:
    """Yield the functions of *path* in which something catches everything."""
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and names(node.type) & BROAD:
                    yield f"{path.relative_to(ROOT).as_posix()}:{function.name}"
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                    yield from (
                        f"{path.relative_to(ROOT).as_posix()}:{function.name}"
                        for argument in node.args
                        if names(argument) & BROAD
                    )


def test_exactly_two_places_catch_any_exception() -> None:
    """The boundary around one watched object, and the boundary around one identity's issue."""
    found = {
        handler
        for folder in SOURCES
        for path in sorted((ROOT / folder).rglob("*.py"))
        for handler in broad_handlers(path)
    }

    assert found == {
        "server/rolecall_server/engine/broker.py:apply",
        "server/rolecall_server/engine/issue_loop.py:_issue",
    }


def test_the_search_would_find_a_third(tmp_path: Path) -> None:
    """The check above can fail."""
    planted = tmp_path / "planted.py"
    planted.write_text(
        "def f():\n try:\n  g()\n except (OSError, Exception):\n  pass\n"
        "def h():\n with contextlib.suppress(BaseException):\n  g()\n"
        "def i():\n try:\n  g()\n except:\n  pass\n"
    )
    tree = ast.parse(planted.read_text())
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]

    assert [bool(names(handler.type) & BROAD) for handler in handlers] == [True, True]
    assert any("suppress" in ast.unparse(node) for node in ast.walk(tree))
