"""A Signal account against Signal's mock server, with libsignal on both ends."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

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
from sabir.content.plain import to_plain
from sabir.content.rich import Mention, Paragraph, Rich, Strong, Text
from sabir.errors import CredentialsRefused, Unavailable
from sabir.networks.api import (
    AccountId,
    ChatId,
    ChatRenamed,
    ConnectionState,
    Corrected,
    Delivered,
    IdempotencyKey,
    Incoming,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    Person,
    PersonId,
    Posted,
    ReactionsReplaced,
    Read,
    Refused,
    Retracted,
    Sent,
    Speaker,
    Typing,
)
from sabir.networks.login import Ask, Done, ShowCode
from sabir.networks.registry import check_account
from sabir.networks.signal.config import account_config
from sabir.networks.signal.connector import SignalAccount
from sabir.networks.signal.login import ANOTHER, SAME, SignalLogin
from sabir.networks.signal.network import NETWORK
from sabir.networks.signal.watch import KEPT
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng
from sabir.testing.servers.signal_lab import SignalLab, available

pytestmark = [
    pytest.mark.interop,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(available() is not None, reason=available() or ""),
]
ADA = Speaker(uri="sabir:ada", name="Ada", network="matrix")
PATIENCE_S = 20
_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SignalLab]:
    async with SignalLab(tmp_path_factory.mktemp("signal")) as running:
        yield running


class Octets:
    """A file to send."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.sha256 = data, len(data), b""

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), 65_536):
            yield self.data[start : start + 65_536]


@dataclass
class Owner:
    """Alice, whose linked device we are, and her friends' phones."""

    lab: SignalLab
    name: str
    bob: str
    carol: str
    people: dict[str, Any]
    done: Done
    files: Path

    def __post_init__(self) -> None:
        self.host = RecordingHost(clock=LoopClock(), rng=SeededRng(self.name))
        self.chat = ChatId(f"dm:{self.people[self.bob]['aci']}")
        self.host.portals.append(self.chat)
        self.account = self.connector()

    @property
    def aci(self) -> str:
        return str(self.people[self.name]["aci"])

    def connector(self, **more: object) -> SignalAccount:
        settings = {**self.done.settings, "files_dir": str(self.files), **more}
        checked = check_account(NETWORK, id=AccountId("signal"), settings=settings)
        return SignalAccount(account_config(checked), clock=LoopClock())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        self.host.states.clear()
        task = asyncio.get_running_loop().create_task(self.account.run(self.host))
        try:
            await self.host.until(
                lambda: (
                    task.done()
                    or ConnectionState.CONNECTED
                    in [state for state, _ in self.host.states]
                )
            )
            if task.done():
                await task
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def to_bob(self, piece: Piece, data: bytes | None = None) -> Outcome:
        return await self.send(piece, self.chat, data)

    async def send(
        self, piece: Piece, chat: ChatId, data: bytes | None = None
    ) -> Outcome:
        outgoing = self.outgoing(piece, chat, data)
        (outcome,) = [each async for each in self.account.send([outgoing])]
        return outcome

    def outgoing(
        self, piece: Piece, chat: ChatId, data: bytes | None = None
    ) -> Outgoing:
        return Outgoing(
            chat=chat,
            key=IdempotencyKey(f"{next(_numbers):a>32}"),
            speaker=ADA,
            piece=piece,
            sent_at=LoopClock().now(),
            media=None if data is None else Octets(data),
        )

    async def says(self, **params: Any) -> int:
        answer = await self.lab.phone(
            "send", **{"from": self.bob, "to": self.name, **params}
        )
        return int(answer["timestamp"])

    async def hears(self, kind: str = "message") -> Any:
        """Return what Bob's phone has received next."""
        got = await self.lab.phone("next", name=self.bob, kind=kind)
        assert "nothing" not in got, f"{self.bob} got no {kind}"
        return got

    async def takes(self, wanted: Callable[[Incoming], object]) -> Incoming:
        def found() -> list[Incoming]:
            decoded = [self.account.decode(event) for event in self.host.events]
            return [each for each in decoded if each is not None and wanted(each)]

        await self.host.until(found)
        return found()[-1]

    async def takes_text(self, text: str) -> Incoming:
        return await self.takes(lambda incoming: text_of(incoming) == text)


def text_of(incoming: Incoming) -> str:
    match incoming.action:
        case Posted(text=Rich() as text) | Corrected(text=Rich() as text):
            return to_plain(text)
        case _:
            return ""


def ref(author: str, timestamp: int, excerpt: str = "") -> NativeRef:
    return NativeRef(native_id=f"{author}|{timestamp}", excerpt=excerpt)


def plain(text: str) -> TextPiece:
    return TextPiece(text=Rich.plain(text))


def time_of(outcome: Outcome) -> int:
    assert isinstance(outcome, Sent), outcome
    return int(outcome.native_id.partition("|")[2])


async def login(
    lab: SignalLab,
    phone: str,
    first: dict[str, str],
    choice: str = ANOTHER,
) -> Done:
    """Link as `sabir account add signal` does."""
    flow = SignalLogin()
    try:
        await flow.begin()
        step = await flow.answer({"endpoint": f"tcp:127.0.0.1:{lab.port}", **first})
        if isinstance(step, Ask):
            step = await flow.answer({"account": choice})
        assert isinstance(step, ShowCode)
        assert step.data.startswith("sgnl://linkdevice?uuid=")
        await lab.phone("scan", name=phone, uri=step.data)
        done = await flow.answer({})
        assert isinstance(done, Done)
        return done
    finally:
        await flow.close()


@pytest_asyncio.fixture(loop_scope="module")
async def owner(lab: SignalLab, tmp_path: Path) -> Owner:
    number = next(_numbers)
    bob, carol, alice = (f"{each}{number}" for each in ("bob", "carol", "alice"))
    people = {each: await lab.phone("person", name=each) for each in (bob, carol)}
    people[alice] = await lab.phone("person", name=alice, contacts=[bob, carol])
    done = await login(lab, alice, {})
    return Owner(lab, alice, bob, carol, people, done, tmp_path)


# ---- linking


async def _listed(owner: Owner, names: set[str]) -> None:
    """Wait until these are among the chats: contacts come when the phone likes."""
    async with asyncio.timeout(PATIENCE_S):
        while not names <= {chat.name for chat in await owner.account.list_chats()}:
            await asyncio.sleep(0.1)


async def test_a_code_links_the_account(owner: Owner) -> None:
    assert owner.done.settings["number"] == owner.people[owner.name]["number"]
    assert owner.done.settings["aci"] == owner.aci
    assert owner.people[owner.name]["number"] not in owner.done.welcome
    async with owner.running():
        await owner.says(text="hello")
        await owner.takes_text("hello")
        await _listed(owner, {owner.bob, owner.carol})
        await owner.host.until(lambda: owner.host.states[-1][1] == KEPT)


async def test_an_unlinked_device_says_so_and_is_linked_again(owner: Owner) -> None:
    async with owner.running() as run:
        device = (await owner.lab.phone("show", name=owner.name))["linkedDevices"][-1]
        await owner.lab.phone("unlink", name=owner.name, deviceId=device)
        refused = None
        for _ in range(100):
            try:
                await owner.to_bob(plain("is anybody there"))
            except Unavailable as error:
                refused = error
                break
            await asyncio.sleep(0.05)
        with pytest.raises(CredentialsRefused, match="scan the code"):
            await run
        assert refused is not None


async def test_the_unlinked_phone_is_linked_again_by_the_same_dialogue(
    owner: Owner,
) -> None:
    device = (await owner.lab.phone("show", name=owner.name))["linkedDevices"][-1]
    await owner.lab.phone("unlink", name=owner.name, deviceId=device)
    number = owner.people[owner.name]["number"]
    owner.done = await login(owner.lab, owner.name, {}, choice=number)
    assert owner.done.settings["aci"] == owner.aci
    owner.account = owner.connector()
    async with owner.running():
        await owner.says(text="linked again")
        await owner.takes_text("linked again")
        assert isinstance(await owner.to_bob(plain("yes")), Sent)


async def test_the_command_shows_the_code_and_completes_the_link(
    owner: Owner, tmp_path: Path
) -> None:
    """`sabir account add` as people run it; another phone scans what it prints."""
    phone = f"{owner.name}-cli"
    added = await owner.lab.phone("person", name=phone)
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("SABIR", "XDG"))}
    home = {**kept, "HOME": str(tmp_path)}
    sabir = [sys.executable, "-m", "sabir.cli"]
    init = await asyncio.create_subprocess_exec(*sabir, "init", env=home)
    assert await init.wait() == 0
    answers = {
        "endpoint": f"tcp:127.0.0.1:{owner.lab.port}",
        "files_dir": "",
        "read_receipts": "no",
        "account": ANOTHER,
        "review": "no",
    }
    given = [
        part for name, value in answers.items() for part in ("--set", f"{name}={value}")
    ]
    process = await asyncio.create_subprocess_exec(
        *sabir,
        *("account", "add", "signal", "signal"),
        *given,
        env=home,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    shown = b""
    while b"sgnl://" not in shown or not shown.endswith(b"\n"):
        line = await process.stdout.readline()
        assert line, shown.decode()
        shown += line
    assert "█" in shown.decode() or "▄" in shown.decode()
    uri = shown.decode().rpartition("sgnl://")[2].strip()
    await owner.lab.phone("scan", name=phone, uri=f"sgnl://{uri}")
    rest, _ = await process.communicate()
    assert process.returncode == 0, rest.decode()
    assert "linked device of your Signal account" in rest.decode()
    assert added["number"] not in (shown + rest).decode()


# ---- words


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "ä" * 1_000,
        "y" * 2_001,
        "z" * 1_998 + "😀" * 300,
        "ü" * 30_000,
        "👩\u200d👩\u200d👧 שלום e\u0301",
    ],
    ids=["1", "2000", "2001", "cut in a character", "60000", "scripts"],
)
async def test_texts_are_equal_on_both_sides(owner: Owner, text: str) -> None:
    async with owner.running():
        await owner.to_bob(plain(text))
        got = (await owner.hears())["dataMessage"]
        whole = got["body"]
        if got["attachments"]:
            pointer = got["attachments"][0]
            data = (await owner.lab.phone("attachment", pointer=pointer))["data"]
            whole = base64.b64decode(data).decode()
        assert whole == text
        # and back: a phone cuts long texts as the daemon does
        head = text.encode()[:2_000].decode(errors="ignore")
        file = {
            "contentType": "text/x-signal-plain",
            "data": base64.b64encode(text.encode()).decode(),
        }
        more = {"attachments": [file]} if head != text else {}
        await owner.says(text=head, **more)
        incoming = await owner.takes_text(text)
        assert isinstance(incoming.action, Posted)
        assert incoming.action.media == ()


async def test_styles_and_mentions_after_an_emoji(owner: Owner) -> None:
    carol = owner.people[owner.carol]["aci"]
    inlines = (
        Text("😀 "),
        Mention(owner.carol, carol),
        Text(" "),
        Strong((Text("bold"),)),
    )
    text = Rich((Paragraph(inlines),))
    async with owner.running():
        await owner.to_bob(TextPiece(text=text))
        got = (await owner.hears())["dataMessage"]
        assert got["body"] == "😀 \ufffc bold"
        ranges = {(each["start"], each["length"]) for each in got["bodyRanges"]}
        assert ranges == {(3, 1), (5, 4)}
        await owner.says(
            text="😀 \ufffc bold",
            ranges=[
                {"start": 3, "length": 1, "mention": owner.carol},
                {"start": 5, "length": 4, "style": "BOLD"},
            ],
        )
        incoming = await owner.takes(lambda each: text_of(each).startswith("😀"))
        assert isinstance(incoming.action, Posted)
        assert incoming.action.text == text


async def test_replies_edits_reactions_and_deletions(owner: Owner) -> None:
    bob = owner.people[owner.bob]["aci"]
    async with owner.running():
        theirs = await owner.says(text="draft")
        await owner.takes_text("draft")
        reply = TextPiece(text=Rich.plain("an answer"), reply_to=ref(bob, theirs))
        first = time_of(await owner.to_bob(reply))
        quote = (await owner.hears())["dataMessage"]["quote"]
        assert quote["id"] == theirs
        # an edit, and an edit of the edit
        edit = EditPiece(target=ref(owner.aci, first), text=Rich.plain("a better one"))
        second = time_of(await owner.to_bob(edit))
        got = (await owner.hears("edit"))["editMessage"]
        assert got["targetSentTimestamp"] == first
        assert got["dataMessage"]["body"] == "a better one"
        assert second != first
        await owner.says(text="final", edit=theirs)
        corrected = await owner.takes(lambda each: isinstance(each.action, Corrected))
        assert isinstance(corrected.action, Corrected)
        assert corrected.action.target == NativeId(f"{bob}|{theirs}")
        # reactions
        target = ref(bob, theirs)
        await owner.to_bob(ReactPiece(target=target, emoji="👍"))
        assert (await owner.hears())["dataMessage"]["reaction"]["remove"] is False
        await owner.to_bob(UnreactPiece(target=target, emoji="👍"))
        assert (await owner.hears())["dataMessage"]["reaction"]["remove"] is True
        reaction = {"emoji": "❤️", "author": owner.name, "timestamp": second}
        await owner.says(reaction=reaction)
        liked = await owner.takes(
            lambda each: isinstance(each.action, ReactionsReplaced)
        )
        assert liked.action == ReactionsReplaced(
            target=NativeId(f"{owner.aci}|{second}"), emoji=("❤️",)
        )
        # deletions
        await owner.to_bob(DeletePiece(target=ref(owner.aci, first)))
        deleted = (await owner.hears())["dataMessage"]["delete"]
        assert deleted["targetSentTimestamp"] == first
        await owner.says(delete=theirs)
        gone = await owner.takes(lambda each: isinstance(each.action, Retracted))
        assert gone.action == Retracted(
            target=NativeId(f"{bob}|{theirs}"), any_version=True
        )


async def test_receipts_and_typing_both_ways(owner: Owner) -> None:
    bob = owner.people[owner.bob]["aci"]
    owner.account = owner.connector(read_receipts=True)
    async with owner.running():
        sent_at = time_of(await owner.to_bob(plain("read me")))
        await owner.hears()
        ours = NativeId(f"{owner.aci}|{sent_at}")
        person = Person(id=PersonId(bob), name=owner.bob)
        for kind, wanted in (
            ("DELIVERY", Delivered(chat=owner.chat, person=person, native_id=ours)),
            ("READ", Read(chat=owner.chat, person=person, native_id=ours)),
        ):
            await owner.lab.phone(
                "receipt",
                **{"from": owner.bob, "to": owner.name},
                type=kind,
                timestamps=[sent_at],
            )
            await owner.host.until(partial(owner.host.signals.__contains__, wanted))
        await owner.lab.phone("typing", **{"from": owner.bob, "to": owner.name})
        await owner.host.until(
            lambda: any(isinstance(s, Typing) and s.active for s in owner.host.signals)
        )
        await owner.account.typing(owner.chat, ADA, active=True)
        theirs = await owner.says(text="and me")
        await owner.takes_text("and me")
        await owner.account.receipt(owner.chat, ADA, ref(bob, theirs), read=True)
        read = {"type": 1, "timestamp": [theirs]}
        receipts = [(await owner.hears("receipt"))["receiptMessage"] for _ in range(2)]
        assert read in receipts  # the other one is the daemon's, of delivery


# ---- files


@pytest.mark.parametrize("size", [1, 300_000, 5_000_000])
async def test_files_keep_octets_name_and_type(owner: Owner, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    part = ExternalPart(
        content_type="application/pdf", url="spool:x", filename="a b.pdf", size=size
    )
    piece = MediaPiece(attachment=Attachment(part=part, kind=MediaKind.FILE))
    async with owner.running():
        assert isinstance(await owner.to_bob(piece, data), Sent)
        pointer = (await owner.hears())["dataMessage"]["attachments"][0]
        named = (pointer["contentType"], pointer["fileName"], pointer["size"])
        assert named == ("application/pdf", "a b.pdf", size)
        got = (await owner.lab.phone("attachment", pointer=pointer))["data"]
        assert base64.b64decode(got) == data
        assert list(owner.files.iterdir()) == []
        file = {
            "contentType": "application/pdf",
            "fileName": "c.pdf",
            "data": base64.b64encode(data[::-1]).decode(),
        }
        await owner.says(attachments=[file])
        incoming = await owner.takes(
            lambda each: isinstance(each.action, Posted) and each.action.media
        )
        assert isinstance(incoming.action, Posted)
        (media,) = incoming.action.media
        assert (media.content_type, media.filename) == ("application/pdf", "c.pdf")
        chunks = [
            chunk
            async for chunk in owner.account.download(media.handle, octets_max=size)
        ]
        assert b"".join(chunks) == data[::-1]
        assert max(map(len, chunks)) <= 65_536


async def test_disappearing_messages_say_so(owner: Owner) -> None:
    async with owner.running():
        await owner.says(text="soon gone", expire=60)
        incoming = await owner.takes_text("soon gone")
        assert incoming.lost == (
            "it disappears on Signal 1 minute after reading, here it stays",
        )


# ---- groups and the owner's phone


async def test_a_group_is_read_written_renamed_and_left(owner: Owner) -> None:
    members = [owner.name, owner.bob, owner.carol]
    made = await owner.lab.phone(
        "group", id=owner.name, owner=owner.bob, title="Tea", members=members
    )
    chat = ChatId(f"group:{made['groupId']}")
    owner.host.portals.append(chat)
    async with owner.running():
        await owner.says(text="in the group", group=owner.name)
        await owner.takes_text("in the group")
        assert owner.host.events[-1].chat == chat
        await owner.lab.phone(
            "sendSenderKey",
            **{"from": owner.carol, "to": owner.name},
            text="by sender key",
            group=owner.name,
        )
        carol = await owner.takes_text("by sender key")
        assert carol.sender.id == owner.people[owner.carol]["aci"]
        info = await owner.account.open_chat(chat)
        assert (info.name, info.members) == ("Tea", 3)
        ours = time_of(await owner.send(plain("to all"), chat))
        for name in (owner.bob, owner.carol):
            got = await owner.lab.phone("next", name=name, timeout=5_000)
            assert got["dataMessage"]["body"] == "to all"
        await owner.lab.phone(
            "receipt",
            **{"from": owner.carol, "to": owner.name},
            type="READ",
            timestamps=[ours],
        )
        await owner.host.until(
            lambda: any(
                isinstance(each, Read) and each.chat == chat
                for each in owner.host.signals
            )
        )
    # renamed while we were away: seen at the next start
    number = owner.people[owner.name]["number"]
    await owner.lab.call(
        "updateGroup", account=number, groupId=made["groupId"], name="Coffee"
    )
    async with owner.running():
        renamed = await owner.takes(lambda each: isinstance(each.action, ChatRenamed))
        assert renamed.action == ChatRenamed(name="Coffee")
        await owner.lab.call("quitGroup", account=number, groupId=made["groupId"])
        outcome = await owner.send(plain("still there?"), chat)
        assert isinstance(outcome, Refused)
        assert "not a member" in outcome.reason


async def test_what_the_owner_writes_on_the_phone_is_theirs(owner: Owner) -> None:
    async with owner.running():
        sent = await owner.lab.phone(
            "phoneSends", name=owner.name, to=owner.bob, text="from my phone"
        )
        incoming = await owner.takes_text("from my phone")
        assert incoming.sender.id == owner.aci
        assert owner.host.events[-1].chat == owner.chat
        await owner.lab.phone(
            "phoneSends",
            name=owner.name,
            to=owner.bob,
            text="corrected",
            edit=sent["timestamp"],
        )
        edit = await owner.takes_text("corrected")
        assert isinstance(edit.action, Corrected)
        assert edit.action.target == f"{owner.aci}|{sent['timestamp']}"


# ---- trust and trouble


async def test_a_new_safety_number_is_shown_and_decided_by_the_owner(
    owner: Owner,
) -> None:
    async with owner.running():
        await owner.to_bob(plain("before"))
        await owner.hears()
        await owner.lab.phone("newPhone", name=owner.bob)
        await owner.says(text="it is me, on a new phone")
        await owner.takes(lambda each: "safety number" in "".join(each.lost))
        texts = [
            text_of(i) for e in owner.host.events if (i := owner.account.decode(e))
        ]
        assert "it is me, on a new phone" not in texts
        held = owner.outgoing(plain("to whoever that is"), owner.chat)
        with pytest.raises(Unavailable, match="safety number"):
            _ = [each async for each in owner.account.send([held])]
        found = await owner.account.lookup(held, attempted_at=held.sent_at)
        assert found == NotSent()
        # the owner compares, and says so in the dialogue
        flow = SignalLogin()
        await flow.begin()
        await flow.answer({"endpoint": f"tcp:127.0.0.1:{owner.lab.port}"})
        number = owner.people[owner.name]["number"]
        step = await flow.answer({"account": number, "review": "yes"})
        assert isinstance(step, Ask)
        assert owner.bob in step.title
        assert isinstance(await flow.answer({"decision": SAME}), Done)
        await flow.close()
        await owner.takes_text("it is me, on a new phone")
        (outcome,) = [each async for each in owner.account.send([held])]
        assert isinstance(outcome, Sent)
        got = await owner.hears()
        assert got["dataMessage"]["body"] == "to whoever that is"
        await owner.takes(lambda each: "was compared" in "".join(each.lost))


async def test_a_limit_pauses_and_says_how_long(owner: Owner) -> None:
    await owner.lab.phone("rateLimit", **{"from": owner.name, "to": owner.bob})
    async with owner.running():
        piece = owner.outgoing(plain("too fast"), owner.chat)
        with pytest.raises(Unavailable) as caught:
            _ = [each async for each in owner.account.send([piece])]
        assert caught.value.retry_after_ms
        found = await owner.account.lookup(piece, attempted_at=piece.sent_at)
        assert found == NotSent()


async def test_who_is_not_on_signal_any_more_is_named_once(owner: Owner) -> None:
    await owner.lab.phone("registered", name=owner.bob, on=False)
    async with owner.running():
        outcome = await owner.to_bob(plain("gone?"))
    await owner.lab.phone("registered", name=owner.bob, on=True)
    assert isinstance(outcome, Refused)
    assert "not registered" in outcome.reason


async def test_a_killed_daemon_loses_nothing_and_keeps_order(owner: Owner) -> None:
    async with owner.running() as run:
        await owner.says(text="one")
        await owner.takes_text("one")
        owner.lab.kill_daemon()
        with pytest.raises(Unavailable):
            await run
    for text in ("two", "three"):
        await owner.says(text=text)
    await owner.lab.restart_daemon()
    async with owner.running():
        await owner.takes_text("three")
        await owner.to_bob(plain("the session survived"))
        assert (await owner.hears())["envelopeType"] != "PreKey"
    texts = [text_of(i) for e in owner.host.events if (i := owner.account.decode(e))]
    assert texts == ["one", "two", "three"]


async def test_a_send_whose_answer_was_lost_is_repeated_once(owner: Owner) -> None:
    """The lab's device knows a message by its time; then a repeat is the same one."""
    async with owner.running():
        await owner.to_bob(plain("first"))
        await owner.hears()
        piece = owner.outgoing(plain("perhaps"), owner.chat)
        (outcome,) = [each async for each in owner.account.send([piece])]
        assert isinstance(outcome, Sent)
        await owner.hears()
    # forget the answer, as a crash would have
    name = next(n for n, v in owner.host.facts.items() if piece.key in v)
    owner.host.facts[name] = owner.host.facts[name].replace('"sent"', '"open"')
    owner.account = owner.connector()
    async with owner.running():
        found = await owner.account.lookup(piece, attempted_at=piece.sent_at)
        assert found == NotSent()
        (outcome,) = [each async for each in owner.account.send([piece])]
        assert isinstance(outcome, Sent)
        await owner.to_bob(plain("marker"))
        assert (await owner.hears())["dataMessage"]["body"] == "marker"
