"""The client: what an answer means, and what no error may tell."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, Error, PeerMisbehaved, Unavailable
from sabir.networks.telegram.client import (
    BotApi,
    FloodWait,
    NotReached,
    Rejected,
    http_session,
)
from tests.unit.networks.telegram.bench import all_of

TOKEN = "4242:the-token-that-nobody-may-see"


@asynccontextmanager
async def server(
    body: bytes, status: int = 200, *, length: int | None = None
) -> AsyncIterator[BotApi]:
    """Give a client of a server that answers everything the same."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if length is None:
            return web.Response(body=body, status=status)
        answer = web.StreamResponse(headers={"Content-Length": str(length)})
        await answer.prepare(request)
        await answer.write(body)
        assert request.transport is not None
        await asyncio.sleep(0.05)
        request.transport.close()
        return answer

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with http_session() as http:
            yield BotApi(base, http, Secret.from_text(TOKEN))
    finally:
        await runner.cleanup()


async def answered(body: Any, status: int = 200) -> Any:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with server(octets, status) as api:
        return await api.call("getMe")


async def refused(body: Any, status: int) -> Error:
    with pytest.raises(Error) as found:
        await answered(body, status)
    assert TOKEN not in str(found.value)
    return found.value


def no(code: int, text: str, **parameters: Any) -> dict[str, Any]:
    return {
        "ok": False,
        "error_code": code,
        "description": text,
        "parameters": parameters,
    }


async def test_a_result_is_what_ok_stands_beside() -> None:
    assert await answered({"ok": True, "result": [1]}) == [1]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (no(400, "Bad Request: x"), 400, Rejected),
        (no(403, "Forbidden: x"), 403, Rejected),
        (no(404, "Not Found: method x"), 404, Rejected),
        (no(401, "Unauthorized"), 401, CredentialsRefused),
        (no(404, "Not Found"), 404, CredentialsRefused),
        (no(429, "Too Many Requests", retry_after=7), 429, FloodWait),
        (no(502, "Bad Gateway"), 502, Unavailable),
        (b"<html>", 502, Unavailable),
        (b"<html>", 403, Unavailable),
        (b"<html>", 200, PeerMisbehaved),
        ({"result": 1}, 200, PeerMisbehaved),
        (b"[" * 100_000, 200, PeerMisbehaved),
    ],
)
async def test_every_answer_is_an_error_of_the_tree(
    body: Any, status: int, kind: type[Error]
) -> None:
    assert type(await refused(body, status)) is kind


async def test_an_answer_without_ok_breaks_a_rule() -> None:
    error = await refused({}, 200)
    assert isinstance(error, PeerMisbehaved)
    assert error.rule == "TELEGRAM-010"


async def test_how_long_to_wait_is_told() -> None:
    error = await refused(no(429, "x", retry_after=7), 429)
    assert isinstance(error, FloodWait)
    assert error.retry_after_ms == 7_000
    for after in (None, "soon", True, -1):
        error = await refused(no(429, "x", retry_after=after), 429)
        assert isinstance(error, FloodWait)
        assert error.retry_after_ms == 5_000


async def test_where_a_group_has_moved_is_told() -> None:
    error = await refused(no(400, "upgraded", migrate_to_chat_id=-1_001), 400)
    assert isinstance(error, Rejected)
    assert error.migrated_to == -1_001


async def test_an_answer_beyond_the_limit_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sabir.networks.telegram.client.ANSWER_OCTETS_MAX", 1_000)
    error = await refused(b" " * 2_000, 200)
    assert isinstance(error, PeerMisbehaved)


async def test_a_server_that_is_not_there_was_not_reached() -> None:
    async with server(b"") as api:
        pass
    async with http_session() as http:
        gone = BotApi(api._base, http, Secret.from_text(TOKEN))
        with pytest.raises(NotReached, match="cannot be reached") as found:
            await gone.call("getMe")
    assert found.value.__cause__ is None
    assert TOKEN not in repr(found.value)
    with pytest.raises(NotReached, match="not connected"):
        await gone.call("getMe")


async def test_a_file_that_is_cut_off_may_be_fetched_again() -> None:
    async with server(b"half", length=8) as api:
        with pytest.raises(Unavailable):
            await all_of(api.download("files/x", octets_max=100))


async def test_a_file_that_is_longer_than_it_said_keeps_the_limit() -> None:
    async with server(b"x" * 200_000) as api:
        with pytest.raises(Error, match="limit here is 100"):
            await all_of(api.download("files/x", octets_max=100))


async def test_a_redirect_is_not_followed() -> None:
    async with server(b"", 302) as api:
        with pytest.raises(Unavailable):
            await all_of(api.download("files/x", octets_max=100))


async def test_no_log_has_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with server(json.dumps(no(400, "x")).encode(), 400) as api:
        with pytest.raises(Rejected):
            await api.call("sendMessage", {"text": "the words of somebody"})
        with pytest.raises(Error):
            await all_of(api.download("files/x", octets_max=100))
    assert TOKEN not in caplog.text
    assert "the words" not in caplog.text
    assert TOKEN not in repr(api.__dict__)
