"""A business number against servers: webhooks, files, the 24 hours, errors, Prism."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sabir.clock import Instant
from sabir.content.meaning import Attachment, MediaKind
from sabir.content.model import ExternalPart
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    Piece,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Paragraph, Rich, Strong, Text
from sabir.crypto.secrets import Secret
from sabir.errors import (
    ConfigInvalid,
    CredentialsRefused,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.api import (
    ChatId,
    ChatKind,
    ConnectionState,
    Delivered,
    IdempotencyKey,
    InDoubt,
    NotSent,
    Outcome,
    Outgoing,
    Posted,
    Read,
    Refused,
    Sent,
    Speaker,
)
from sabir.networks.login import Ask, Done, ShowText
from sabir.networks.whatsapp import cloud, listener
from sabir.networks.whatsapp.cloud import CloudNumber
from sabir.networks.whatsapp.config import CloudConfig
from sabir.networks.whatsapp.login import CloudLogin
from sabir.testing.contract.host import ContractHost
from sabir.testing.openapi.document import whatsapp_cloud_text
from sabir.testing.pytest_plugin import need
from sabir.testing.rng import SeededRng
from sabir.testing.servers.cloud_api import NUMBER_ID, TOKEN, CloudApi, Trouble, change
from sabir.testing.servers.meta_hooks import MetaHooks, signature
from sabir.testing.servers.prism import Prism
from tests.interop.test_whatsapp_contract import ANN, APP_SECRET, BEN, config, hooks_of

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

CHAT = ChatId(ANN)
ADA = Speaker(uri="sabir:ada", name="Ada", network="matrix")


class Stage:
    """A running connector, Meta's side of it, and a clock that can be set."""

    def __init__(self, api: CloudApi, hooks: MetaHooks, config: CloudConfig) -> None:
        self.api = api
        self.hooks = hooks
        self.config = config
        self.host = ContractHost()
        self.host.portals = [ChatId(ANN), ChatId(BEN)]
        self.connector = CloudNumber(config, clock=self.host.clock)
        self.running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self.host.states.clear()
        loop = asyncio.get_running_loop()
        running = self.running = loop.create_task(self.connector.run(self.host))
        await self.until(
            lambda: self.host.state is ConnectionState.CONNECTED or running.done()
        )

    async def end(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)

    async def until(self, holds: Callable[[], object]) -> None:
        await self.host.until(holds, timeout_s=10)

    def piece(
        self, piece: Piece, data: bytes | None = None, chat: ChatId = CHAT
    ) -> Outgoing:
        letters = "abcdefghijklmnopqrstuvwxyz234567"
        key = "".join(letters[o & 31] for o in self.host.rng(32))
        return Outgoing(
            chat=chat,
            key=IdempotencyKey(key),
            speaker=ADA,
            piece=piece,
            sent_at=self.host.clock.now(),
            media=None if data is None else Reader(data),
        )

    async def send(self, piece: Piece, data: bytes | None = None) -> Outcome:
        return await self.send_out(self.piece(piece, data))

    async def send_out(self, outgoing: Outgoing) -> Outcome:
        (outcome,) = [outcome async for outcome in self.connector.send([outgoing])]
        return outcome

    async def hears(self, content: dict[str, Any], **more: Any) -> Any:
        """Let Ann send something; return what it means."""
        before = len(self.host.events)
        self.api.says(ANN, content, **more)
        await self.until(lambda: len(self.host.events) > before)
        return self.connector.decode(self.host.events[-1])


class Reader:
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.sha256 = hashlib.sha256(data).digest()

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 65_536):
            yield self.data[start : start + 65_536]


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(monkeypatch) as made:
        yield made
        assert made.api.violations == []


@asynccontextmanager
async def staged(
    monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(cloud, "PROOF_PAUSE_S", 0.2)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(CloudApi())
        account = replace(config(api.base_url), **settings)
        hooks = await stack.enter_async_context(hooks_of(account))
        api.hooks = hooks
        made = Stage(api, hooks, account)
        stack.push_async_callback(made.end)
        await made.begin()
        yield made


def text(words: str) -> TextPiece:
    return TextPiece(text=Rich.plain(words))


def file(
    kind: MediaKind, content_type: str, name: str = "", caption: str = ""
) -> MediaPiece:
    part = ExternalPart(content_type=content_type, url="x:y", filename=name)
    return MediaPiece(
        attachment=Attachment(part=part, kind=kind),
        caption=Rich.plain(caption) if caption else None,
    )


# ---- the webhook


async def test_the_handshake_is_answered_once_and_only_with_our_token(
    stage: Stage,
) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    base = f"http://127.0.0.1:{stage.config.listen_port}"
    async with aiohttp.ClientSession() as session:

        async def ask(path: str, **more: str) -> tuple[int, str]:
            async with session.get(base + path, params={**query, **more}) as answer:
                return answer.status, await answer.text()

        path, token = stage.config.path, {"hub.verify_token": "verify-token"}
        assert await ask(path, **token) == (200, "1158201444")
        assert (await ask(path, **{"hub.verify_token": "wrong"}))[0] == 403
        assert (await ask(path))[0] == 403
        assert (await ask(path, **token, **{"hub.mode": "x"}))[0] == 400
        script = {"hub.challenge": "<script>"}
        assert await ask(path, **token, **script) == (400, "")
        assert (await ask("/whatsapp/another", **token))[0] == 404
        assert (await ask("/", **token))[0] == 404
        async with session.put(base + path) as answer:
            assert answer.status == 405


async def test_only_signed_bodies_are_taken(stage: Stage) -> None:
    message = {
        "from": ANN,
        "id": "wamid.1",
        "timestamp": "1749416383",
        "type": "text",
        "text": {"body": "Ünïcödé 👋"},
    }
    body = json.dumps(change({"messages": [message]}), ensure_ascii=False).encode()
    post = stage.hooks.post
    assert await post(body, signed="") == 401
    assert await post(body, signed="sha256=" + "0" * 64) == 401
    assert await post(body, signed="sha1=abc") == 401
    again = json.dumps(json.loads(body)).encode()  # the same JSON in other octets
    assert await post(again, signed=signature(body, APP_SECRET)) == 401
    assert await post(body[:-3]) == 400
    assert await post(b"[]") == 400
    assert await post(b"[" * 100_000) == 400
    assert stage.host.events == []
    assert await post(body) == 200
    assert await post(body) == 200  # replayed
    elsewhere = f"http://127.0.0.1:{stage.config.listen_port}/whatsapp/guess"
    assert await post(body, url=elsewhere) == 404
    assert [event.native_id for event in stage.host.events] == ["wamid.1"]


async def test_a_body_over_the_limit_is_refused_before_it_is_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await stage.hooks.post(b" " * (listener.BODY_OCTETS_MAX + 1)) == 413
    monkeypatch.setattr(listener, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", stage.config.listen_port
    )
    head = f"POST {stage.config.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    writer.write(head.encode())
    assert b"408" in await reader.readline()
    writer.close()


async def test_a_thousand_messages_in_one_body_are_one_take(stage: Stage) -> None:
    messages = [
        {
            "from": (ANN, BEN)[n % 2],
            "id": f"wamid.{n}",
            "timestamp": "1749416383",
            "type": "text",
            "text": {"body": f"{n}"},
        }
        for n in range(1_000)
    ]
    stage.hooks.put(change({"messages": messages}))
    await stage.hooks.settled()
    assert len(stage.host.events) == 1_000
    assert [len(take) for take in stage.host.takes if take] == [1_000]


async def test_a_body_of_another_number_is_left_alone(stage: Stage) -> None:
    message = {"from": ANN, "id": "wamid.1", "type": "text", "text": {"body": "x"}}
    stage.hooks.put(change({"messages": [message]}, number="999"))
    stage.hooks.put(change({"anything": 1}, of="account_update"))
    await stage.hooks.settled()
    assert stage.host.events == []


async def test_until_the_first_webhook_the_owner_is_told_so(stage: Stage) -> None:
    assert "no webhook" in stage.host.states[-1][1]
    await stage.hears({"type": "text", "text": {"body": "hi"}})
    await stage.until(lambda: stage.host.states[-1] == (ConnectionState.CONNECTED, ""))


# ---- out, in every kind


async def test_every_kind_of_message_goes_out_as_described(stage: Stage) -> None:
    asked = await stage.hears({"type": "text", "text": {"body": "hello"}})
    assert isinstance(asked.action, Posted)
    target = NativeRef(native_id=stage.host.events[-1].native_id, author=ANN)
    bold = Rich((Paragraph((Strong((Text("bold"),)), Text(" plain"))),))
    for piece, data in (
        (TextPiece(text=bold, reply_to=target), None),
        (text("see https://example.org"), None),
        (ReactPiece(target=target, emoji="👍"), None),
        (UnreactPiece(target=target, emoji="👍"), None),
        (file(MediaKind.IMAGE, "image/jpeg", caption="a *picture*"), b"jpeg"),
        (file(MediaKind.VIDEO, "video/mp4", caption="film"), b"mp4"),
        (file(MediaKind.VOICE, "audio/ogg; codecs=opus"), b"ogg"),
        (file(MediaKind.AUDIO, "audio/mpeg"), b"mp3"),
        (file(MediaKind.FILE, "application/pdf", "Rechnung ü.pdf", "pay"), b"pdf"),
        (file(MediaKind.STICKER, "image/webp"), b"RIFF"),
    ):
        outcome = await stage.send(piece, data)
        assert isinstance(outcome, Sent), (piece, outcome)
        assert outcome.native_id.startswith("wamid.")
    kinds = [message["type"] for message in stage.api.messages]
    assert kinds == [
        "text",
        "text",
        "reaction",
        "reaction",
        "image",
        "video",
        "audio",
        "audio",
        "document",
        "sticker",
    ]
    first, link, *_ = stage.api.messages
    assert first["text"]["body"] == "*bold* plain"
    assert first["context"] == {"message_id": target.native_id}
    assert link["text"]["preview_url"] is True
    assert [m["reaction"]["emoji"] for m in stage.api.messages[2:4]] == ["👍", ""]
    assert stage.api.messages[4]["image"]["caption"] == "a *\u200bpicture*\u200b"
    assert stage.api.messages[6]["audio"]["voice"] is True
    document = stage.api.messages[8]["document"]
    assert document["filename"] == "Rechnung ü.pdf"
    stored = stage.api.files[document["id"]]
    assert (stored.data, stored.content_type) == (b"pdf", "application/pdf")


async def test_a_caption_that_a_file_cannot_carry_goes_behind_it(stage: Stage) -> None:
    voice = file(MediaKind.VOICE, "audio/ogg", caption="listen")
    outcome = await stage.send(voice, b"ogg")
    assert isinstance(outcome, Sent)
    assert len(outcome.aliases) == 1
    assert "caption, as its own message" in outcome.lost
    long = file(MediaKind.IMAGE, "image/png", caption="x" * 1_025)
    assert isinstance(await stage.send(long, b"png"), Sent)
    kinds = [message["type"] for message in stage.api.messages]
    assert kinds == ["audio", "text", "image", "text"]
    assert stage.api.messages[3]["text"]["body"] == "x" * 1_025


async def test_a_caption_that_must_wait_does_not_send_the_file_twice(
    stage: Stage,
) -> None:
    outgoing = stage.piece(file(MediaKind.VOICE, "audio/ogg", caption="c"), b"ogg")
    seen: list[str] = []
    original = stage.api._message

    async def second_waits(request: Any, body: Any) -> Any:
        seen.append(body["type"])
        if len(seen) == 2:
            stage.api.troubles.append(Trouble(code=130429))
        return await original(request, body)

    stage.api._message = second_waits  # type: ignore[method-assign]  # one order only
    with pytest.raises(Unavailable):
        await stage.send_out(outgoing)
    found = await stage.connector.lookup(outgoing, attempted_at=Instant(0))
    assert found == NotSent()
    outcome = await stage.send_out(outgoing)
    assert isinstance(outcome, Sent)
    assert [m["type"] for m in stage.api.messages] == ["audio", "text"]


async def test_what_is_too_large_for_its_kind_goes_as_a_document(stage: Stage) -> None:
    for kind, content_type, size in (
        (MediaKind.IMAGE, "image/jpeg", 5 * 1024 * 1024 + 1),
        (MediaKind.VIDEO, "video/mp4", 20 * 1024 * 1024),
        (MediaKind.IMAGE, "image/webp", 10),
    ):
        outcome = await stage.send(file(kind, content_type), bytes(size))
        assert isinstance(outcome, Sent)
        assert any("as a document" in phrase for phrase in outcome.lost)
        assert stage.api.messages[-1]["type"] == "document"
        assert stage.api.messages[-1]["document"]["filename"].startswith("file.")


async def test_a_file_over_the_limit_is_refused_before_it_is_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    outgoing = stage.piece(file(MediaKind.FILE, "application/pdf"), b"pdf")
    assert isinstance(outgoing.media, Reader)
    outgoing.media.size = 100 * 1024 * 1024 + 1
    before = len(stage.api.requests)
    outcome = await stage.send_out(outgoing)
    assert isinstance(outcome, Refused)
    assert "send a link" in outcome.reason
    assert len(stage.api.requests) == before


async def test_an_edit_or_a_deletion_is_refused_with_the_way_out(stage: Stage) -> None:
    target = NativeRef(native_id="wamid.1")
    edit = await stage.send(EditPiece(target=target, text=Rich.plain("new")))
    delete = await stage.send(DeletePiece(target=target))
    assert isinstance(edit, Refused)
    assert "correction" in edit.reason
    assert isinstance(delete, Refused)
    assert "tell the person" in delete.reason


# ---- files in


async def test_a_file_comes_whole_and_is_checked(stage: Stage) -> None:
    media_id = stage.api.put_file(b"voice" * 50_000, "audio/ogg; codecs=opus")
    audio = {"id": media_id, "mime_type": "audio/ogg; codecs=opus", "voice": True}
    incoming = await stage.hears({"type": "audio", "audio": audio})
    (media,) = incoming.action.media
    assert media.kind is MediaKind.VOICE
    got = [c async for c in stage.connector.download(media.handle, octets_max=10**6)]
    assert b"".join(got) == b"voice" * 50_000
    with pytest.raises(PolicyRefused, match="limit"):
        [c async for c in stage.connector.download(media.handle, octets_max=10)]
    stage.api.wrong_digest = True
    with pytest.raises(PolicyRefused, match="another file"):
        [c async for c in stage.connector.download(media.handle, octets_max=10**6)]
    del stage.api.files[media_id]
    with pytest.raises(PolicyRefused, match="14 days"):
        [c async for c in stage.connector.download(media.handle, octets_max=10**6)]


async def test_our_token_goes_to_no_strange_address(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_id = stage.api.put_file(b"x", "image/png")
    for strange in ("https://evil.example/x", "http://lookaside.fbsbx.com/x", "x"):
        monkeypatch.setattr(
            CloudApi,
            "_media",
            lambda self, _, url=strange: aiohttp.web.json_response({"url": url}),
        )
        with pytest.raises(PolicyRefused, match="strange address"):
            [c async for c in stage.connector.download(media_id, octets_max=9)]


# ---- the 24 hours


async def test_free_words_end_24_hours_after_the_last_message(stage: Stage) -> None:
    now = stage.host.clock.now()
    seconds = now // 1000 - 24 * 3600
    soon = str(seconds + 5)
    stage.api.says(ANN, {"type": "text", "text": {"body": "x"}}, timestamp=soon)
    stage.api.says(
        BEN, {"type": "text", "text": {"body": "x"}}, timestamp=str(seconds - 1)
    )
    await stage.until(lambda: len(stage.host.events) == 2)
    assert isinstance(await stage.send(text("in time")), Sent)
    before = len(stage.api.requests)
    for piece, data in (
        (text("late"), None),
        (file(MediaKind.IMAGE, "image/png"), b"png"),
        (ReactPiece(target=NativeRef(native_id="wamid.1"), emoji="👍"), None),
    ):
        late = stage.piece(piece, data, ChatId(BEN))
        outcome = await stage.send_out(late)
        assert isinstance(outcome, Refused)
        assert "last 24 hours" in outcome.reason
        assert "template" in outcome.reason
    assert len(stage.api.requests) == before, "asked before anything was sent"
    # what is delivered again does not open it, and a restart does not forget it
    stage.hooks.again()
    await stage.hooks.settled()
    await stage.end()
    stage.connector = CloudNumber(stage.config, clock=stage.host.clock)
    await stage.begin()
    again = await stage.send_out(stage.piece(text("late"), chat=ChatId(BEN)))
    assert isinstance(again, Refused)


async def test_a_template_carries_a_late_text_if_the_owner_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with staged(monkeypatch, template="sabir_message") as stage:
        stage.api.says(
            ANN, {"type": "text", "text": {"body": "x"}}, timestamp="1700000000"
        )
        await stage.until(lambda: stage.host.events)
        outcome = await stage.send(text("two\nlines"))
        assert isinstance(outcome, Sent)
        assert "template" in outcome.lost[0]
        template = stage.api.messages[-1]["template"]
        assert template["components"][0]["parameters"][0]["text"] == "two lines"
        long = await stage.send(text("x" * 1_000))
        assert isinstance(long, Refused)
        assert "shorter" in long.reason
        picture = await stage.send(file(MediaKind.IMAGE, "image/png"), b"png")
        assert isinstance(picture, Refused)
        assert stage.api.violations == []


async def test_meta_says_24_hours_and_people_hear_it_in_words(stage: Stage) -> None:
    stage.api.troubles.append(Trouble(code=131047))
    outcome = await stage.send(text("x"))
    assert isinstance(outcome, Refused)
    assert "last 24 hours" in outcome.reason


async def test_what_was_accepted_and_not_delivered_is_told_in_the_chat(
    stage: Stage,
) -> None:
    outcome = await stage.send(text("x"))
    assert isinstance(outcome, Sent)
    stage.api.status(
        stage.api.messages[-1], "failed", errors=[{"code": 131026, "title": "no"}]
    )
    await stage.until(lambda: stage.host.events)
    incoming = stage.connector.decode(stage.host.events[-1])
    assert incoming is not None
    assert isinstance(incoming.action, Posted)
    assert incoming.sender.name == "WhatsApp"
    assert incoming.action.reply_to == outcome.native_id
    assert "Not delivered" in str(incoming.action.text)
    assert "not on WhatsApp" in str(incoming.action.text)


# ---- errors


@pytest.mark.parametrize(
    ("trouble", "wait_ms"),
    [
        (Trouble(code=4), 300_000),
        (Trouble(code=80007), 300_000),
        (Trouble(code=130429), 10_000),
        (Trouble(code=131056), 6_000),
        (Trouble(status=429, code=131000, headers={"Retry-After": "7"}), 7_000),
        (Trouble(status=500, bare=True), 5_000),
        (Trouble(status=400, code=77, error={"is_transient": True}), 5_000),
    ],
)
async def test_a_limit_waits_as_long_as_meta_wants(
    stage: Stage, trouble: Trouble, wait_ms: int
) -> None:
    outgoing = stage.piece(text("x"))
    stage.api.troubles.append(trouble)
    with pytest.raises(Unavailable) as raised:
        await stage.send_out(outgoing)
    assert raised.value.retry_after_ms == wait_ms
    if not trouble.bare:  # Meta said no, so it is certainly not there
        found = await stage.connector.lookup(outgoing, attempted_at=Instant(0))
        assert found == NotSent()
    assert isinstance(await stage.send_out(outgoing), Sent)
    assert len(stage.api.messages) == 1


@pytest.mark.parametrize("code", [100, 131026, 131030, 131051, 132001, 9_999_999])
async def test_what_meta_refuses_is_refused_with_words(stage: Stage, code: int) -> None:
    title = {"message": "no 4915112345678", "error_subcode": 1}
    stage.api.troubles.append(Trouble(code=code, error=title))
    refused = await stage.send(text("x"))
    assert isinstance(refused, Refused)
    assert f"code {code}" in refused.reason
    assert "4915112345678" not in refused.reason
    assert isinstance(await stage.send(text("next")), Sent)


async def test_an_expired_token_ends_the_run_and_loses_nothing(stage: Stage) -> None:
    stage.api.token = "another"
    outgoing = stage.piece(text("x"))
    with pytest.raises(Unavailable, match="permanent token"):
        await stage.send_out(outgoing)
    assert stage.running is not None
    await stage.until(stage.running.done)
    assert isinstance(stage.running.exception(), CredentialsRefused)
    stage.api.token = TOKEN
    await stage.begin()
    found = await stage.connector.lookup(outgoing, attempted_at=Instant(0))
    assert found == NotSent()
    assert isinstance(await stage.send_out(outgoing), Sent)


async def test_a_token_that_never_worked_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = Secret.from_text("wrong")
    async with staged(monkeypatch, access_token=wrong) as stage:
        assert stage.running is not None
        assert isinstance(stage.running.exception(), CredentialsRefused)
    async with staged(monkeypatch, number_id="123456") as stage:
        assert stage.running is not None
        error = stage.running.exception()
        assert isinstance(error, CredentialsRefused)
        assert "phone_number_id" in str(error)


async def test_a_port_in_use_is_named(stage: Stage) -> None:
    other = CloudNumber(stage.config, clock=stage.host.clock)
    with pytest.raises(ConfigInvalid, match="another program listens"):
        await other.run(stage.host)


# ---- doubt


async def test_a_lost_answer_is_known_by_its_status(stage: Stage) -> None:
    stage.api.troubles.append(Trouble(cut=True, accepted=True))
    outgoing = stage.piece(text("x"))
    with pytest.raises(Unavailable):
        await stage.send_out(outgoing)
    await stage.hooks.settled()
    found = await stage.connector.lookup(outgoing, attempted_at=stage.host.clock.now())
    assert isinstance(found, Sent)
    assert found.native_id == stage.api.messages[0]["id"]


async def test_a_status_after_a_restart_is_an_echo(stage: Stage) -> None:
    stage.hooks.paused = True
    outcome = await stage.send(text("x"))
    await stage.end()
    stage.connector = CloudNumber(stage.config, clock=stage.host.clock)
    await stage.begin()
    stage.hooks.paused = False
    await stage.until(lambda: stage.host.echoes)
    chat, echo = stage.host.echoes[0]
    assert chat == CHAT
    assert isinstance(outcome, Sent)
    assert (echo.key, echo.native_id) == (outcome.key, outcome.native_id)


async def test_without_a_status_it_stays_in_doubt_for_ten_minutes(
    stage: Stage,
) -> None:
    stage.api.troubles.append(Trouble(cut=True))
    outgoing = stage.piece(text("x"))
    with pytest.raises(Unavailable):
        await stage.send_out(outgoing)
    now = stage.host.clock.now()
    with pytest.raises(Unavailable, match="waiting"):
        await stage.connector.lookup(outgoing, attempted_at=now)
    before = Instant(now - stage.config.doubt_s * 1_000)
    found = await stage.connector.lookup(outgoing, attempted_at=before)
    assert isinstance(found, InDoubt)
    assert "look into the chat" in found.reason


# ---- chats, people, signals


async def test_people_who_wrote_are_listed_by_the_name_they_chose(
    stage: Stage,
) -> None:
    stage.api.groups = [{"id": "Y2FwaV9ncm91cDox", "subject": "Tea"}]
    await stage.hears({"type": "text", "text": {"body": "x"}}, name="Ann Onym")
    listed = await stage.connector.list_chats()
    assert [(i.chat, i.kind, i.name) for i in listed] == [
        (ANN, ChatKind.DIRECT, "Ann Onym"),
        ("group:Y2FwaV9ncm91cDox", ChatKind.GROUP, "Tea"),
    ]
    opened = await stage.connector.open_chat(ChatId("+1 (555) 765-4321"))
    assert (opened.chat, opened.name) == (ANN, "Ann Onym")
    group = await stage.connector.open_chat(ChatId("group:Y2FwaV9ncm91cDox"))
    assert group.name == "Tea"
    with pytest.raises(PolicyRefused, match="country code"):
        await stage.connector.open_chat(ChatId("Ann"))
    with pytest.raises(PolicyRefused, match="groups that the number"):
        await stage.connector.open_chat(ChatId("group:Y2FwaV9ncm91cDoy"))


async def test_a_number_that_whatsapp_knows_otherwise_stays_one_chat(
    stage: Stage,
) -> None:
    short, long = ChatId("551187654321"), "5511987654321"
    stage.host.portals.append(short)
    stage.api.other_ids[short] = long
    await stage.send_out(stage.piece(text("x"), chat=short))
    await stage.end()
    stage.connector = CloudNumber(stage.config, clock=stage.host.clock)
    await stage.begin()
    stage.api.says(long, {"type": "text", "text": {"body": "answer"}})
    await stage.until(lambda: stage.host.events)
    assert stage.host.events[0].chat == short


async def test_statuses_become_receipts_in_any_order_each_once(stage: Stage) -> None:
    stage.api.statuses = ("read", "sent", "delivered", "read")
    outcome = await stage.send(text("x"))
    await stage.hooks.settled()
    await stage.until(lambda: stage.host.signals)
    assert isinstance(outcome, Sent)
    assert [type(s) for s in stage.host.signals] == [Read]
    stage.api.statuses = ("sent", "delivered", "delivered")
    await stage.send(text("y"))
    await stage.hooks.settled()
    await stage.until(lambda: len(stage.host.signals) == 2)
    assert isinstance(stage.host.signals[1], Delivered)


async def test_typing_is_shown_only_where_all_was_read(stage: Stage) -> None:
    await stage.hears({"type": "text", "text": {"body": "x"}})
    ref = NativeRef(native_id=stage.host.events[-1].native_id, author=ANN)
    connector = stage.connector
    await connector.typing(CHAT, ADA, active=True)
    assert stage.api.reads == []
    await connector.receipt(CHAT, ADA, ref, read=False)
    await connector.receipt(CHAT, ADA, ref, read=True)
    await connector.receipt(CHAT, ADA, ref, read=True)
    ours = NativeRef(native_id="wamid.OUT1", author="us")
    await connector.receipt(CHAT, ADA, ours, read=True)
    await connector.typing(CHAT, ADA, active=True)
    await connector.typing(CHAT, ADA, active=False)
    assert [(r["message_id"], "typing_indicator" in r) for r in stage.api.reads] == [
        (ref.native_id, False),
        (ref.native_id, True),
    ]


# ---- login, logs, and the judge from outside


async def test_the_login_checks_the_token_and_shows_what_to_enter(
    stage: Stage,
) -> None:
    login = CloudLogin(SeededRng("login"))
    form = {
        "phone_number_id": NUMBER_ID,
        "access_token": TOKEN,
        "app_secret": APP_SECRET,
        "public_url": "https://sabir.example.org/",
        "graph_url": stage.api.base_url,
    }
    assert isinstance(await login.begin(), Ask)
    for name, wrong, words in (
        ("phone_number_id", "+15550000000", "not the phone number"),
        ("public_url", "http://sabir.example.org", "https://"),
        ("app_secret", "", "copy it once more"),
        ("graph_url", "http://example.org", "in clear"),
        ("listen_port", "eighty", "not a port"),
        ("template", "My Template", "sabir_message"),
        ("template_language", "english", "en_US"),
    ):
        with pytest.raises(ConfigInvalid, match=words):
            await login.answer({**form, name: wrong})
    with pytest.raises(CredentialsRefused, match="permanent token"):
        await login.answer({**form, "access_token": "wrong"})
    with pytest.raises(CredentialsRefused, match="phone number ID"):
        await login.answer({**form, "phone_number_id": "123456"})
    shown = await login.answer(form)
    assert isinstance(shown, ShowText)
    done = await login.answer({})
    assert isinstance(done, Done)
    await login.close()
    path = done.secrets["webhook_path"].reveal_text()
    assert f"https://sabir.example.org/whatsapp/{path}\n" in shown.text
    assert done.secrets["verify_token"].reveal_text() in shown.text
    assert "Sabir Tea" in done.welcome
    assert "Meta" in done.welcome
    assert done.settings["template"] == ""


async def test_no_number_text_or_secret_is_logged_at_any_level(
    stage: Stage, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await stage.hears({"type": "text", "text": {"body": "the secret tea party"}})
    await stage.send(text("the silent answer"))
    stage.api.status(stage.api.messages[-1], "failed", errors=[{"code": 131026}])
    stage.api.troubles.extend(
        [Trouble(code=131026, error={"message": f"no {ANN}"}), Trouble(code=4)]
    )
    await stage.send(text("the silent answer"))
    with pytest.raises(Unavailable):
        await stage.send(text("the silent answer"))
    stage.api.tell({"errors": [{"code": 130429, "title": f"slow {ANN}"}]})
    await stage.hooks.settled()
    await stage.hooks.post(b"{}", signed="sha256=" + "0" * 64)
    await stage.hooks.post(b'{"the secret tea party"')
    await stage.end()
    said = capsys.readouterr()
    logged = said.out + said.err + caplog.text
    assert "number_error" in logged
    for hidden in (ANN, "tea party", "silent answer", TOKEN, APP_SECRET, "a-secret-"):
        assert hidden not in logged, hidden


async def test_prism_accepts_what_we_send_and_refuses_what_our_checker_does(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need("prism")
    await test_every_kind_of_message_goes_out_as_described(stage)
    await stage.connector.list_chats()
    ref = NativeRef(native_id=stage.host.events[-1].native_id, author=ANN)
    await stage.connector.receipt(CHAT, ADA, ref, read=True)
    await stage.connector.typing(CHAT, ADA, active=True)
    home = tmp_path_factory.mktemp("prism")
    async with (
        Prism(home, whatsapp_cloud_text()) as prism,
        aiohttp.ClientSession() as s,
    ):

        async def judged(asked: Any, body: Any) -> int:
            kept = ("authorization", "user-agent", "content-type")
            headers = {n: v for n, v in asked.headers.items() if n in kept}
            async with s.request(
                asked.method,
                prism.base_url + asked.path,
                params=dict(asked.query),
                headers=headers,
                data=None if body is None else json.dumps(body),
            ) as answer:
                return answer.status

        asked = [r for r in stage.api.requests if not r.path.endswith("/media")]
        assert len(asked) > 12
        for request in asked:
            assert await judged(request, request.body) == 200, request
        message = next(r for r in asked if r.path.endswith("/messages"))
        assert isinstance(message.body, dict)
        for wrong in ({**message.body, "x": 1}, {**message.body, "type": "poll"}):
            assert await judged(message, wrong) in {400, 422}
