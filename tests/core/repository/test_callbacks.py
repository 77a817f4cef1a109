"""Every callback has its row in the table of fakes, by which a bug is put into it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from fakes.callbacks import COMES_BACK, ON_A_SIGNAL, ON_ANY_LOOP, ON_ASYNCIO, WITHOUT_ROW

ROOT = Path(__file__).parents[3]
GENERATED = "v1"  # The wire's messages; `Service` is what is registered with them.
FOLDERS = ("agent", "server", "proto", "common", "cli")
# By the name of what takes a callback: which of its arguments that is, or its name.
REGISTERS: dict[str, int | str] = {
    **dict.fromkeys(("call_soon", "call_soon_threadsafe", "start_server", "create_server"), 0),
    **dict.fromkeys(("call_later", "call_at", "add_reader", "add_writer", "add_signal_handler"), 1),
    **dict.fromkeys(("add_done_callback", "set_exception_handler", "addFilter"), 0),
    **dict.fromkeys(("create_connection", "create_datagram_endpoint", "create_unix_server"), 0),
    **dict.fromkeys(("connect_read_pipe", "connect_write_pipe", "subscribe", "CFUNCTYPE"), 0),
    **dict.fromkeys(("finalize", "ref", "WeakMethod", "signal"), 1),
    "dynamic_ssl_server_credentials": 1,
    **dict.fromkeys(("unary_unary_rpc_method_handler", "unary_stream_rpc_method_handler"), 0),
    **dict.fromkeys(("stream_unary_rpc_method_handler", "stream_stream_rpc_method_handler"), 0),
    "Thread": "target",
}
PROTOCOL = frozenset(
    {"connection_made", "connection_lost", "data_received", "eof_received", "pause_writing"}
    | {"resume_writing", "get_buffer", "buffer_updated", "datagram_received", "error_received"}
    | {"pipe_data_received", "pipe_connection_lost", "process_exited"}
)
PARSED = frozenset(
    {"on_url", "on_header", "on_headers_complete", "on_body", "on_message_begin", "on_status"}
    | {"on_message_complete", "on_chunk_header", "on_chunk_complete"}
)
TABLE = {*ON_ANY_LOOP, *ON_ASYNCIO, *COMES_BACK, *ON_A_SIGNAL, *WITHOUT_ROW}


def callbacks(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield what *tree* has called back, as `module:qualified name`; what has none, as it is."""
    for parents, node in _walk(tree, ()):
        if isinstance(node, ast.Call):
            taken = _taken(node)
            if taken is not None:
                yield f"{module}:{_name(parents, taken)}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and parents:
            owner = parents[-1]
            if isinstance(owner, ast.ClassDef) and _is_called(owner, node.name):
                yield f"{module}:{_path((*parents, node))}"


def _is_called(owner: ast.ClassDef, name: str) -> bool:
    is_service = any(ast.unparse(base).endswith("Servicer") for base in owner.bases)
    is_port = any(ast.unparse(base) == "Protocol" for base in owner.bases)
    return not is_port and (
        name in PROTOCOL | PARSED or name == "__del__" or (is_service and name[0].isupper())
    )


def _taken(call: ast.Call) -> ast.expr | None:
    where = REGISTERS.get(ast.unparse(call.func).rpartition(".")[2])
    if where is None:
        return None
    if isinstance(where, str):
        return next((each.value for each in call.keywords if each.arg == where), None)
    return call.args[where] if len(call.args) > where else None


def _name(parents: tuple[ast.AST, ...], taken: ast.expr) -> str:
    """Return the qualified name of what *taken* is, as far as that can be seen from here."""
    match taken:
        case ast.Call(func=ast.Call(), args=[inner]):  # It is decorated on its way.
            return _name(parents, inner)
        case ast.Lambda():
            return f"{_path(parents)}.<locals>.<lambda>"
        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
            owner = next(each for each in reversed(parents) if isinstance(each, ast.ClassDef))
            return f"{owner.name}.{attribute}"
        case ast.Name(id=name):
            for depth in range(len(parents), 0, -1):
                if _defines(parents[depth - 1], name):
                    return f"{_path(parents[:depth])}.<locals>.{name}"
    return f"{_path(parents)}: {ast.unparse(taken)}"


def _defines(scope: ast.AST, name: str) -> bool:
    return any(
        isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name
        for each in ast.walk(scope)
        if each is not scope
    )


def _path(nodes: tuple[ast.AST, ...]) -> str:
    path = ""
    for before, node in zip((None, *nodes), nodes, strict=False):
        assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        joint = ".<locals>." if isinstance(before, ast.FunctionDef | ast.AsyncFunctionDef) else "."
        path = f"{path}{joint}{node.name}" if path else node.name
    return path


def _walk(
    node: ast.AST, parents: tuple[ast.AST, ...]
) -> Iterator[tuple[tuple[ast.AST, ...], ast.AST]]:
    for child in ast.iter_child_nodes(node):
        yield parents, child
        is_scope = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _walk(child, (*parents, child) if is_scope else parents)


def found_in(path: Path) -> set[str]:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts[1:])
    return set(callbacks(module, ast.parse(path.read_text())))


def test_every_callback_has_a_row() -> None:
    """A new one is not forgotten, and a row of one that is gone is not kept."""
    sources = [path for each in FOLDERS for path in (ROOT / each).rglob("*.py")]
    found = {each for path in sources if path.parent.name != GENERATED for each in found_in(path)}

    assert found == TABLE


def test_the_search_would_find_a_new_one() -> None:
    """The check above can fail, by each kind of callback."""
    planted = ast.parse(
        "class C(asyncio.Protocol):\n"
        " def data_received(self, data): self.loop.call_soon(self._later)\n"
        " def __del__(self): pass\n"
        "class S(BrokerServicer):\n"
        " async def Watch(self): context.add_done_callback(lambda _: 0)\n"
        "def f():\n"
        " def g(): pass\n"
        " loop.add_reader(0, g)\n"
        " weakref.finalize(f, print)\n"
        " threading.Thread(target=print)\n"
    )

    assert set(callbacks("m", planted)) == {
        "m:C.data_received",
        "m:C._later",
        "m:C.__del__",
        "m:S.Watch",
        "m:S.Watch.<locals>.<lambda>",
        "m:f.<locals>.g",
        "m:f: print",
    }
