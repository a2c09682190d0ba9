"""Answers of the server, and of what may stand in front of it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    Error,
    PeerIncompatible,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.imessage import client
from sabir.networks.imessage.client import (
    BlueBubbles,
    HelperMissing,
    NotReached,
    Rejected,
    http_session,
)
from sabir.networks.imessage.render import FilePart
from sabir.networks.imessage.server import ServerInfo, server_info

PASSWORD = "canary-0123456789-canary-01234567"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[BlueBubbles]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with http_session() as http:
            base = f"http://127.0.0.1:{port}"
            yield BlueBubbles(base, http, Secret.from_text(PASSWORD))
    finally:
        await runner.cleanup()


def answering(body: Any, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        if isinstance(body, bytes):
            return web.Response(body=body, status=status)
        return web.json_response(body, status=status)

    return handler


def refusal(kind: str, message: str, status: int) -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "message": message}}


async def error_of(body: Any, status: int) -> Error:
    async with serving(answering(body, status)) as api:
        with pytest.raises(Error) as raised:
            await api.post("/message/text", {})
    return raised.value


async def test_the_data_of_an_answer_is_the_result() -> None:
    seen: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.query["password"]))
        return web.json_response({"status": 200, "data": {"total": 3}})

    async with serving(handler) as api:
        assert await api.get("/message/count") == {"total": 3}
    assert seen == [("/api/v1/message/count", PASSWORD)]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, refusal("Validation Error", "no such reaction", 400), Rejected),
        (404, refusal("Database Error", "Chat does not exist!", 404), Rejected),
        (401, refusal("Authentication Error", "Unauthorized", 401), CredentialsRefused),
        (
            500,
            refusal("iMessage Error", "API Helper is not connected!", 500),
            HelperMissing,
        ),
        (500, refusal("Server Error", "null", 500), Unavailable),
        (504, refusal("Gateway Timeout", "slow", 504), Unavailable),
        (404, b"Not Found", PeerIncompatible),
        (404, b"<html>proxy</html>", Unavailable),
        (502, b"bad gateway", Unavailable),
        (302, b"", Unavailable),
    ],
)
async def test_an_error_says_who_has_to_act(
    status: int, body: Any, kind: type[Error]
) -> None:
    assert type(await error_of(body, status)) is kind


async def test_what_an_error_of_the_server_says_stays_out() -> None:
    error = await error_of(refusal("iMessage Error", "failed: Dear Ann", 500), 500)
    assert "Ann" not in str(error)


@pytest.mark.parametrize("body", [b"hello", b"[]", b"{}", b"[" * 100_000])
async def test_an_answer_of_another_form_is_refused(body: bytes) -> None:
    error = await error_of(body, 200)
    assert isinstance(error, PeerMisbehaved)
    assert error.rule == "IMESSAGE-010"


async def test_an_answer_without_an_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "ANSWER_OCTETS_MAX", 1000)
    error = await error_of({"status": 200, "data": "x" * 2000}, 200)
    assert isinstance(error, PeerMisbehaved)


async def test_a_mac_that_is_off_was_certainly_not_reached() -> None:
    async with http_session() as http:
        api = BlueBubbles("http://127.0.0.1:1", http, Secret.from_text(PASSWORD))
        with pytest.raises(NotReached, match="awake"):
            await api.get("/ping")
    with pytest.raises(NotReached):
        await api.get("/ping")


async def test_a_connection_that_breaks_leaves_doubt() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handler) as api:
        with pytest.raises(Unavailable) as raised:
            await api.post("/message/text", {})
    assert not isinstance(raised.value, NotReached)


async def test_no_error_holds_the_password() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://127.0.0.1:1/?{request.query_string}")

    errors: list[BaseException] = [
        await error_of(refusal("x", "y", status), status)
        for status in (400, 401, 404, 500)
    ]
    async with serving(handler) as api:
        with pytest.raises(Unavailable) as raised:
            await api.get("/ping")
        errors.append(raised.value)
        with pytest.raises(Unavailable) as raised:
            async with api.socket():
                pass
        errors.append(raised.value)
    for error in errors:
        shown = f"{error!r} {error.__cause__!r} {error}"
        assert "canary" not in shown
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None


# ---- files


class Octets:
    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.sha256 = data, len(data), b""

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 65_536):
            yield self.data[start : start + 65_536]


async def test_an_upload_has_its_length_and_its_fields() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        assert request.content_length is not None
        form = await request.post()
        found = form["attachment"]
        assert isinstance(found, web.FileField)
        seen.update(form)
        seen["data"] = found.file.read()
        seen["filename"] = found.filename
        return web.json_response({"status": 200, "data": {}})

    async with serving(handler) as api:
        await api.upload(
            "/message/attachment",
            {"chatGuid": "iMessage;-;x", "name": 'a"b.jpg'},
            file=FilePart('a"b.jpg', "image/jpeg"),
            media=Octets(b"x" * 100_000),
            boundary="b" * 32,
        )
    assert (seen["chatGuid"], seen["data"]) == ("iMessage;-;x", b"x" * 100_000)
    assert seen["filename"] == "a%22b.jpg"


async def test_a_download_keeps_the_limit_and_the_original() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["original"] == "true"
        if "chunked" not in request.path:
            return web.Response(body=b"x" * 1000)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"x" * 1000)
        return answer

    async with serving(handler) as api:
        for path in ("/plain", "/chunked"):
            pieces = [p async for p in api.download(path, octets_max=1000)]
            assert b"".join(pieces) == b"x" * 1000
            with pytest.raises(PolicyRefused, match="999"):
                _ = [p async for p in api.download(path, octets_max=999)]


async def test_a_download_that_breaks_off_is_tried_again() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"x" * 10)
        assert request.transport is not None
        request.transport.close()
        return answer

    async with serving(handler) as api:
        with pytest.raises(Unavailable):
            _ = [p async for p in api.download("/x", octets_max=1000)]


async def test_a_file_that_is_unknown_may_come_later() -> None:
    async with serving(answering(refusal("Server Error", "null", 500), 500)) as api:
        with pytest.raises(Unavailable):
            _ = [p async for p in api.download("/x", octets_max=1000)]


# ---- what the server is


def info(**fields: Any) -> dict[str, Any]:
    return {
        "os_version": "14.5.0",
        "server_version": "1.9.9",
        "private_api": True,
        "helper_connected": True,
        "detected_imessage": "Me@Example.test",
        **fields,
    }


def test_the_server_says_what_it_can() -> None:
    found = server_info(info())
    assert found == ServerInfo(
        version="1.9.9", macos="14.5.0", helper=True, address=found.address
    )
    assert (found.address, found.edits) == ("me@example.test", True)


@pytest.mark.parametrize(
    ("fields", "helper", "edits"),
    [
        ({"os_version": "12.7"}, True, False),
        ({"helper_connected": False}, False, False),
        ({"private_api": False}, False, False),
        ({"os_version": None}, True, False),
    ],
)
def test_what_is_missing_on_the_mac_is_missing_here(
    fields: dict[str, Any], helper: bool, edits: bool
) -> None:
    found = server_info(info(**fields))
    assert (found.helper, found.edits) == (helper, edits)


@pytest.mark.parametrize("version", ["1.9.8", "0.2.0", "", None, "x"])
def test_an_old_server_is_to_be_upgraded(version: Any) -> None:
    with pytest.raises(PeerIncompatible, match=r"1\.9\.9"):
        server_info(info(server_version=version))


@pytest.mark.parametrize("version", ["1.9.9", "1.9.10", "1.10", "2.0.0-beta"])
def test_a_later_one_is_fine(version: str) -> None:
    assert server_info(info(server_version=version)).version == version


def test_another_answer_is_refused() -> None:
    with pytest.raises(PeerMisbehaved):
        server_info(json.loads("[]"))
