"""`sabir up` against servers that refuse, pretend, or are somebody else.

Each time: a state for people with cause and way out, a process that goes on, and
no secret in what it sends, logs or shows.
"""

import asyncio
import io
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sabir.testing.servers.authority import keep_certificate
from tests.unit.cli.shell import CANARY, PATIENCE_S, Shell, closed_port

BOT = "@sabir_bot:example.org"
STOP_S = 2.0
"""Within this `sabir up` must end, whatever a server does."""


@dataclass
class Homeserver:
    """Answers what a homeserver answers an application service that starts."""

    refuses: str = ""
    """A Matrix error code given to every request that has a token to check."""
    hs_token: str = ""
    """What it calls our listener with, when not empty."""
    listener: str = ""
    tokens: list[str] = field(default_factory=list)
    """Authorization of every request."""
    pushed: list[int] = field(default_factory=list)
    """What our listener answered to transactions."""

    async def handle(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        path = request.path
        if path.endswith("/versions"):
            return web.json_response({"versions": ["v1.11"]})
        if self.refuses:
            body = {"errcode": self.refuses, "error": "no"}
            return web.json_response(body, status=401)
        if path.endswith("/whoami"):
            return web.json_response({"user_id": BOT})
        if path.endswith("/ping"):
            return await self._ping()
        return web.json_response({})

    async def _ping(self) -> web.Response:
        """Call back as Synapse does: what waits first, then the ping itself."""
        headers = {"Authorization": f"Bearer {self.hs_token}"}
        base = f"{self.listener}/_matrix/app/v1"
        async with aiohttp.ClientSession(headers=headers) as session:
            transaction = f"{base}/transactions/1"
            async with session.put(transaction, json={"events": []}) as answer:
                self.pushed.append(answer.status)
            async with session.post(f"{base}/ping", json={}) as answer:
                status = answer.status
        if status == 200:
            return web.json_response({"duration_ms": 1})
        body = {"errcode": "M_BAD_STATUS", "error": "no", "status": status}
        return web.json_response(body, status=502)


@asynccontextmanager
async def serving(
    homeserver: Homeserver, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", homeserver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def matrix(folder: Path, url: str, port: int) -> Shell:
    for name in ("as_token", "hs_token"):
        (folder / name).write_text(f"{CANARY}-{name}")
    return Shell(
        folder,
        "[accounts.work]\n"
        'network = "matrix"\nkind = "appservice"\n'
        f'homeserver_url = "{url}"\nserver_name = "example.org"\n'
        f"listen_port = {port}\n"
        'as_token_file = "as_token"\nhs_token_file = "hs_token"\n',
    )


@asynccontextmanager
async def up(sabir: Shell, **environ: str) -> AsyncIterator[None]:
    """Run `sabir up`; it must go on, end when told, and have told no secret."""
    assert (await sabir.asks("init")).code == 0
    with (sabir.folder / "up.log").open("a") as log:
        env = {**os.environ, **environ}
        process = sabir.spawn("up", stdout=log, stderr=log, env=env)
    try:
        await asyncio.to_thread(sabir.wait_until_up, process)
        yield
        assert process.poll() is None
        process.terminate()
        # In a thread: the servers of the test must go on meanwhile.
        assert await asyncio.to_thread(process.wait, STOP_S) == 0
    finally:
        process.kill()
        process.wait()
    assert CANARY not in sabir.log()


async def account(sabir: Shell, state: str) -> str:
    """Wait until the account is in a state; return the detail."""
    seen: Any = None
    async with asyncio.timeout(PATIENCE_S):
        while True:
            result = await sabir.asks("status", "--json")
            assert CANARY not in result.out
            [seen] = result.json["accounts"]
            if seen["status"]["state"] == state:
                return str(seen["status"]["detail"])
            await asyncio.sleep(0.05)


# ---- Matrix: tokens


async def test_a_right_installation_connects(tmp_path: Path) -> None:
    port = closed_port()
    homeserver = Homeserver(
        hs_token=f"{CANARY}-hs_token", listener=f"http://127.0.0.1:{port}"
    )
    async with serving(homeserver) as url:
        sabir = matrix(tmp_path, url, port)
        async with up(sabir):
            assert await account(sabir, "connected") == ""
    assert homeserver.pushed[0] == 200


async def test_a_wrong_as_token_names_the_setting_and_the_way_out(
    tmp_path: Path,
) -> None:
    async with serving(Homeserver(refuses="M_UNKNOWN_TOKEN")) as url:
        sabir = matrix(tmp_path, url, closed_port())
        async with up(sabir):
            detail = await account(sabir, "bad_credentials")
    assert "as_token" in detail
    assert "registration file" in detail
    assert "restart" in detail


async def test_a_wrong_hs_token_gets_403_and_both_sides_are_named(
    tmp_path: Path,
) -> None:
    port = closed_port()
    homeserver = Homeserver(hs_token="another", listener=f"http://127.0.0.1:{port}")
    async with serving(homeserver) as url:
        sabir = matrix(tmp_path, url, port)
        async with up(sabir):
            detail = await account(sabir, "bad_credentials")
    assert set(homeserver.pushed) == {403}
    assert "another hs_token than ours" in detail
    assert "registration file" in detail


PUSHES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "cut": (b"{", 400),
    "no list": (b'{"events": "none"}', 400),
    "deep": (b"[" * 100_000, 400),
    "oversized": (b" " * (32 * 1024 * 1024 + 1), 413),
    "odd": (b'{"events": [null, 1, {}, {"event_id": "$x"}], "ephemeral": 7}', 200),
}


async def test_a_malformed_push_is_answered_and_the_next_one_is_taken(
    tmp_path: Path,
) -> None:
    port = closed_port()
    listener = f"http://127.0.0.1:{port}"
    homeserver = Homeserver(hs_token=f"{CANARY}-hs_token", listener=listener)
    async with serving(homeserver) as url:
        sabir = matrix(tmp_path, url, port)
        async with up(sabir):
            await account(sabir, "connected")
            for name, (body, answer) in PUSHES.items():
                assert await _push(listener, name, body) == answer, name
                assert await _push(listener, f"after {name}", b'{"events": []}') == 200
            assert await account(sabir, "connected") == ""


async def _push(listener: str, txn: str, body: bytes) -> int:
    headers = {"Authorization": f"Bearer {CANARY}-hs_token"}
    url = f"{listener}/_matrix/app/v1/transactions/{txn}"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.put(url, data=io.BytesIO(body)) as answer,
    ):
        return answer.status


# ---- Matrix: certificates


def _tls(folder: Path, name: str) -> ssl.SSLContext:
    made = keep_certificate(folder, [name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.chain_file, made.key_file)
    return context


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [
        ("other.example.net", True, "Hostname mismatch"),
        ("localhost", False, "issuer"),
    ],
    ids=["another name", "unknown authority"],
)
async def test_a_homeserver_that_cannot_prove_its_name_gets_no_token(
    tmp_path: Path, name: str, reason: str, *, trusted: bool
) -> None:
    homeserver = Homeserver()
    environ = {"SSL_CERT_FILE": str(tmp_path / "tls" / "ca.pem")} if trusted else {}
    async with serving(homeserver, _tls(tmp_path / "tls", name)) as url:
        sabir = matrix(tmp_path, url, closed_port())
        async with up(sabir, **environ):
            detail = await account(sabir, "bad_credentials")
    assert url in detail
    assert reason in detail
    assert "renew it" in detail
    assert "SSL_CERT_FILE" in detail
    assert homeserver.tokens == []


async def test_the_way_out_of_an_unknown_authority_works(tmp_path: Path) -> None:
    port = closed_port()
    homeserver = Homeserver(
        hs_token=f"{CANARY}-hs_token", listener=f"http://127.0.0.1:{port}"
    )
    async with serving(homeserver, _tls(tmp_path / "tls", "localhost")) as url:
        sabir = matrix(tmp_path, url, port)
        async with up(sabir, SSL_CERT_FILE=str(tmp_path / "tls" / "ca.pem")):
            await account(sabir, "connected")
    assert set(homeserver.tokens) == {f"Bearer {CANARY}-as_token"}


# ---- XMPP

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
STREAM = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept'"
    " xmlns:stream='http://etherx.jabber.org/streams' id='x' from='example.org'>"
)


@asynccontextmanager
async def listening(script: Script) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Sabir went away
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def component(folder: Path, port: int) -> Shell:
    (folder / "secret").write_text(CANARY)
    return Shell(
        folder,
        "[accounts.work]\n"
        'network = "xmpp"\nkind = "component"\ndomain = "sabir.example.org"\n'
        f'host = "127.0.0.1"\nport = {port}\nsecret_file = "secret"\n',
    )


async def test_a_wrong_component_secret_names_the_setting(tmp_path: Path) -> None:
    async def refuse(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"<stream:stream")
        writer.write(STREAM.encode())
        await reader.readuntil(b"</handshake>")
        writer.write(
            b"<stream:error><not-authorized"
            b" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            b"</stream:stream>"
        )
        await writer.drain()

    async with listening(refuse) as port:
        sabir = component(tmp_path, port)
        async with up(sabir):
            detail = await account(sabir, "bad_credentials")
    assert f"127.0.0.1:{port}" in detail
    assert "make secret and domain the same" in detail


async def test_something_else_at_the_port_is_said(tmp_path: Path) -> None:
    async def web_server(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"<stream:stream")
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(web_server) as port:
        sabir = component(tmp_path, port)
        async with up(sabir):
            detail = await account(sabir, "transient_disconnect")
    assert f"127.0.0.1:{port}" in detail
    assert "no XML" in detail


async def test_a_server_that_never_says_goodbye_does_not_keep_us_from_ending(
    tmp_path: Path,
) -> None:
    async def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"<stream:stream")
        writer.write(STREAM.encode())
        await reader.readuntil(b"</handshake>")
        writer.write(b"<handshake/>")
        await reader.read()

    async with listening(accept) as port:
        sabir = component(tmp_path, port)
        async with up(sabir):
            await account(sabir, "connected")
