"""The client against answers that a real Synapse gives rarely or never."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import Disposition, ExternalPart
from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    Error,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.matrix import client as client_module
from sabir.networks.matrix.client import (
    REQUESTS_AT_ONCE_MAX,
    Client,
    Rejected,
    http_session,
)
from sabir.networks.matrix.media import download, upload


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(
    status: int, body: bytes, headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    async with serving(handler) as url, http_session() as session:
        yield Client(url, session, token=Secret(b"canary"))


def error(errcode: str, **more: object) -> bytes:
    return json.dumps({"errcode": errcode, "error": "words"} | more).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (200, b"[]", PeerMisbehaved, "MATRIX-010"),
        (200, b"<html>", PeerMisbehaved, "MATRIX-010"),
        (200, b"[" * 100_000, PeerMisbehaved, "MATRIX-010"),
        (401, error("M_UNKNOWN_TOKEN"), CredentialsRefused, "the as_token: install"),
        (403, error("M_FORBIDDEN"), Rejected, "403 M_FORBIDDEN: words"),
        (404, b"<html>nginx", Unavailable, "reverse proxy"),
        (302, b"", Unavailable, "homeserver_url"),
        (500, error("M_UNKNOWN"), Unavailable, "its log says why"),
        (502, b"bad gateway", Unavailable, "502"),
        (502, error("M_BAD_STATUS", status=403), Rejected, "M_BAD_STATUS"),
    ],
)
async def test_answers_become_errors_by_blame(
    status: int, body: bytes, expected: type[Error], words: str
) -> None:
    async with answering(status, body) as client:
        with pytest.raises(expected, match=words) as raised:
            await client.versions()
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "headers", "wait_ms"),
    [
        (error("M_LIMIT_EXCEEDED", retry_after_ms=1_234), {}, 1_234),
        (error("M_LIMIT_EXCEEDED"), {"Retry-After": "7"}, 7_000),
        (b"slow down", {"Retry-After": "soon"}, 1_000),
    ],
)
async def test_a_limit_says_how_long_to_wait(
    body: bytes, headers: dict[str, str], wait_ms: int
) -> None:
    async with answering(429, body, headers) as client:
        with pytest.raises(Unavailable) as raised:
            await client.versions()
    assert raised.value.retry_after_ms == wait_ms


async def test_an_answer_without_its_field_is_misbehaviour() -> None:
    async with answering(200, b"{}") as client:
        with pytest.raises(PeerMisbehaved, match="no room_id"):
            await client.join("!r")


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_OCTETS_MAX", 1_000)
    async with answering(200, b"x" * 1_001) as client:
        with pytest.raises(PeerMisbehaved, match="1001 octets announced"):
            await client.versions()

    async def chunked(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for _ in range(20):
            await answer.write(b"x" * 100)
        return answer

    async with serving(chunked) as url, http_session() as session:
        with pytest.raises(PeerMisbehaved, match="more than 1000"):
            await Client(url, session, token=None).versions()


async def test_a_server_that_hangs_up_or_sleeps_is_unavailable() -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with serving(hang_up) as url, http_session() as session:
        with pytest.raises(Unavailable, match="does not answer"):
            await Client(url, session, token=None).versions()

    async def sleep(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with serving(sleep) as url, http_session() as session:
        client = Client(url, session, token=None)
        with pytest.raises(Unavailable, match="does not answer"):
            await client.call("GET", "/x", timeout_s=0.05)
    with pytest.raises(Unavailable, match="not connected"):
        await client.versions()


async def test_no_more_than_the_limit_runs_at_once() -> None:
    running = most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return web.json_response({})

    async with serving(handler) as url, http_session() as session:
        client = Client(url, session, token=None)
        async with asyncio.TaskGroup() as group:
            for _ in range(3 * REQUESTS_AT_ONCE_MAX):
                group.create_task(client.versions())
    assert most == REQUESTS_AT_ONCE_MAX


async def test_a_file_that_is_cut_off_may_be_tried_again() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"x" * 500)
        assert request.transport is not None
        request.transport.close()
        return answer

    async with serving(cut) as url, http_session() as session:
        client = Client(url, session, token=None)
        with pytest.raises(Unavailable):
            async for _ in download(client, "mxc://e/x", octets_max=2_000):
                pass


async def test_a_file_without_a_length_is_counted() -> None:
    async def chunked(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for _ in range(20):
            await answer.write(b"x" * 100)
        return answer

    async with serving(chunked) as url, http_session() as session:
        client = Client(url, session, token=None)
        with pytest.raises(Error, match="the limit here is 1999"):
            async for _ in download(client, "mxc://e/x", octets_max=1_999):
                pass
        with pytest.raises(Error, match="not the address"):
            async for _ in download(client, "https://e/x", octets_max=1):
                pass


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_certificate_that_does_not_fit_names_host_reason_and_way_out(
    tmp_path: Path,
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({})

    tls = _certificate(tmp_path, "other.example.org")
    async with serving(handler, tls=tls) as url, http_session() as session:
        with pytest.raises(CredentialsRefused) as raised:
            await Client(url, session, token=Secret(b"t")).versions()
    words = str(raised.value)
    assert url in words
    assert "self-signed" in words or "self signed" in words
    assert "homeserver_url" in words


async def test_a_server_without_tls_is_told_from_one_with_a_bad_certificate() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({})

    async with serving(handler) as url, http_session() as session:
        https = url.replace("http://", "https://")
        with pytest.raises(Unavailable, match="TLS"):
            await Client(https, session, token=None).versions()


class File:
    """A file to send, of zeros."""

    sha256 = bytes(32)

    def __init__(self, size: int) -> None:
        self.size = size

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, self.size, 65_536):
            yield bytes(min(65_536, self.size - start))


PICTURE = Attachment(
    part=ExternalPart(
        content_type="image/png",
        url="spool:00",
        size=5,
        hash_alg=1,
        content_hash=b"x" * 32,
        description="",
        filename="a.png",
        disposition=Disposition.ATTACHMENT,
    ),
    kind=MediaKind.IMAGE,
)


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (413, b"<html>nginx", PolicyRefused, "client_max_body_size"),
        (404, b"<html>nginx", PolicyRefused, "POST /_matrix/media/"),
        (413, error("M_TOO_LARGE"), Rejected, "413 M_TOO_LARGE"),
        (401, b"<html>nginx", Unavailable, "401"),
        (403, b"<html>nginx", Unavailable, "403"),
        (429, b"<html>nginx", Unavailable, "rate"),
        (302, b"", Unavailable, "302"),
        (502, b"<html>nginx", Unavailable, "502"),
    ],
)
async def test_an_upload_that_a_proxy_never_lets_through_is_refused_for_good(
    status: int, body: bytes, expected: type[Error], words: str
) -> None:
    async with answering(status, body) as client:
        with pytest.raises(expected, match=words) as raised:
            await upload(client, File(200_000), attachment=PICTURE, octets_max=None)
    assert isinstance(raised.value, Unavailable) == (expected is Unavailable)
