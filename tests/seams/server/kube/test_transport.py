"""How the API server is reached: by what a kubeconfig or a pod's own files say at the moment."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
import yaml
from aiohttp import web

from fakes.kube import FakeKube, Fault, fake_kube
from rolecall_server.kube.access import Access, AccessError
from rolecall_server.kube.api import ExpiredError, RejectedError, UnavailableError
from rolecall_server.kube.transport import Transport

PATH = "/api/v1/namespaces"


@dataclass
class Files:
    """What a kubelet would keep up to date, and the kubeconfig that names it."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    def write(self, fake: FakeKube, user: Mapping[str, str] | None = None) -> Access:
        where = {"server": fake.url, "certificate-authority": str(self.root / "ca.pem")}
        document = {
            "clusters": [{"name": "c", "cluster": where}],
            "users": [{"name": "u", "user": user or {"tokenFile": str(self.root / "token")}}],
            "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "it",
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))
        return Access(self.kubeconfig)

    def trust(self, authority: trustme.CA) -> None:
        authority.cert_pem.write_to_path(str(self.root / "ca.pem"))

    def token(self, text: str) -> None:
        (self.root / "token").write_text(text)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.trust(trustme.CA())
    made.token("first")
    return made


def served_by(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_token_that_is_refused_is_read_again(files: Files) -> None:
    """The kubelet has replaced it: the next request carries the new one, without a restart."""
    async with fake_kube() as fake, Transport(files.write(fake)) as api:
        await api.get(PATH)
        files.token("second\n")
        fake.faults.append(Fault(401, body=b"Unauthorized"))
        with pytest.raises(RejectedError):
            await api.get(PATH)
        await api.get(PATH)

    sent = [headers["Authorization"] for headers in fake.headers]
    assert sent == ["Bearer first", "Bearer first", "Bearer second"]


async def test_an_authority_that_is_replaced_is_read_again(files: Files) -> None:
    """A cluster's authority rotates: the bundle in the pod changes some time after."""
    old, new = trustme.CA(), trustme.CA()
    files.trust(old)
    async with fake_kube(served_by(new)) as fake, Transport(files.write(fake)) as api:
        with pytest.raises(UnavailableError, match="Certificate"):
            await api.get(PATH)
        files.trust(new)

        await api.get(PATH)


async def test_a_watch_goes_on_while_others_learn_a_new_token(files: Files) -> None:
    """What is open stays open: its connection is let go of when it ends."""
    async with (
        fake_kube() as fake,
        Transport(files.write(fake)) as api,
        api.watch(PATH, {"watch": "true", "resourceVersion": "0"}) as lines,
    ):
        fake.faults.append(Fault(401))
        with pytest.raises(RejectedError):
            await api.get(PATH)
        await api.get(PATH)
        await fake.put({"kind": "Namespace", "metadata": {"name": "team"}})

        assert b"team" in await anext(aiter(lines))


async def test_a_watch_that_says_nothing_is_dead(files: Files) -> None:
    """A peer may be gone without a word, and a balancer in between may still be there."""
    silence = timedelta(seconds=0.1)
    async with fake_kube() as fake, Transport(files.write(fake), silence) as api:
        with pytest.raises(UnavailableError, match="no answer in time"):  # noqa: PT012
            async with api.watch(PATH, {"watch": "true", "resourceVersion": "0"}) as lines:
                async for _ in lines:
                    pass


@pytest.mark.parametrize(
    ("fault", "error", "after"),
    [
        (Fault(500), UnavailableError, None),
        (Fault(503, {"Retry-After": "3"}), UnavailableError, timedelta(seconds=3)),
        (Fault(429, {"Retry-After": "1"}), UnavailableError, timedelta(seconds=1)),
        (Fault(503, {"Retry-After": "31"}), UnavailableError, timedelta(seconds=30)),
        (Fault(503, {"Retry-After": "9999"}), UnavailableError, timedelta(seconds=30)),
        (Fault(429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), UnavailableError, None),
        (Fault(429, {"Retry-After": "٣"}), UnavailableError, None),
        (Fault(410), ExpiredError, None),
        (Fault(404), RejectedError, None),
        (Fault(), UnavailableError, None),
    ],
)
async def test_errors_say_what_to_do_next(
    files: Files, fault: Fault, error: type[Exception], after: timedelta | None
) -> None:
    """Asking again may help, or will not; and how long to wait where the API server says so."""
    async with fake_kube() as fake, Transport(files.write(fake)) as api:
        # aiohttp asks once more by itself where a connection ended without a byte.
        fake.faults.extend([fault, fault])
        with pytest.raises(error) as caught:
            await api.get(PATH)

    assert getattr(caught.value, "retry_after", None) == after


@pytest.mark.parametrize("host", ["a" * 300, "a..b", "\u2100" * 64])
async def test_a_redirect_to_nowhere_is_no_answer(files: Files, host: str) -> None:
    """Whatever answers for the API server may send anything."""
    async with fake_kube() as fake, Transport(files.write(fake)) as api:
        fake.faults.append(Fault(302, {"Location": f"http://{host}/"}))
        with pytest.raises(UnavailableError):
            await api.get(PATH)
        fake.faults.append(Fault(302, {"Location": f"http://{host}/"}))
        with pytest.raises(UnavailableError):
            async with api.watch(PATH):
                raise AssertionError("it was opened")


@pytest.mark.parametrize("token", [b"first\nsecond", b"\xff", b"a\0b"])
async def test_a_token_that_is_none_is_no_answer(files: Files, token: bytes) -> None:
    """Its file may be half written: it is read again later."""
    async with fake_kube() as fake, Transport(files.write(fake)) as api:
        (files.root / "token").write_bytes(token)
        with pytest.raises(UnavailableError) as caught:
            await api.get(PATH)

    assert "second" not in str(caught.value)


async def test_what_the_caller_does_with_the_answer_is_the_callers(files: Files) -> None:
    """Its errors pass: they are no answer of the API server's."""
    async with fake_kube() as fake, Transport(files.write(fake)) as api:
        with pytest.raises(ValueError, match="mine"):
            async with api.watch(PATH, {"watch": "true", "resourceVersion": "0"}):
                raise ValueError("mine")


async def test_compressed_answers_are_read(files: Files) -> None:
    """A list of ten thousand pods is 6 MB on the wire instead of 106."""

    async def squeezed(request: web.Request) -> web.Response:
        answer = web.Response(body=b"x" * 100_000)
        answer.enable_compression(web.ContentCoding.gzip)
        assert request.headers["Accept-Encoding"] == "gzip"
        return answer

    app = web.Application()
    app.router.add_get(PATH, squeezed)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake = FakeKube(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        async with Transport(files.write(fake)) as api:
            assert await api.get(PATH) == b"x" * 100_000
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        "a: b",
        "current-context: it",
        "current-context: it\ncontexts: 5",
        "current-context: it\ncontexts: [{name: it}]",
        "current-context: it\ncontexts: [{name: it, context: {cluster: c}}]\nclusters: null",
        "\0",
    ],
)
async def test_a_kubeconfig_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """One line says which file; nothing of what is in it, which may be secret."""
    file = tmp_path / "kubeconfig"
    file.write_text(text)

    with pytest.raises(AccessError, match="kubeconfig"):
        await Access(file)()


async def test_a_kubeconfig_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    """So that it is found at start, and not by a watch that never begins."""
    with pytest.raises(AccessError, match="nowhere"):
        await Access(tmp_path / "nowhere")()


async def test_outside_of_a_cluster_the_own_access_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is asked by accident."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    with pytest.raises(AccessError, match="the pod's own access"):
        await Access()()
