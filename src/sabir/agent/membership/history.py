"""What was said before a new device of ours came: asked for, approved, given, taken.

A new device reads nothing that was said before it came in; only a device that was there
can tell. It asks, the owner approves at one of the others, and that one gives, for each
room in which both are. The files are sealed (`mimi.member.assets`), and their keys to a
key of the question, so that neither the provider nor other members can read them. Who
asks and who gives shows by the signature keys of their leaves in the room.
"""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

import structlog

from sabir.agent.membership.files import TAG_OCTETS, reader_of
from sabir.agent.membership.history_file import (
    ENTRIES_MAX,
    FILE_OCTETS_MAX,
    read_history,
    write_history,
)
from sabir.agent.membership.ledger import Around, NotInRoom
from sabir.agent.membership.limits import HISTORY_ASK_MS, HISTORY_ASKS_MAX
from sabir.agent.membership.naming import fingerprint, idempotency_key
from sabir.agent.membership.session import RoomSession
from sabir.clock import Instant
from sabir.content import codec
from sabir.content.model import SALT_OCTETS, Content, ExternalPart
from sabir.crypto import hpke
from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.suites import SUITES
from sabir.errors import PeerIncompatible, PeerMisbehaved, PolicyRefused, StorageFailed
from sabir.mimi.agent_api.device_messages import (
    ASK_ID_OCTETS,
    DeviceMessage,
    HistoryAsk,
    HistoryGift,
    SignedDeviceMessage,
    decode_device_message,
    sign_message,
)
from sabir.mimi.client_settings import SUITE
from sabir.mimi.member.assets import AssetSealer, open_asset
from sabir.mimi.member.receiving import frank_verdict
from sabir.mimi.structs.submit import read_frank
from sabir.mimi.uris import domain_of, user_of
from sabir.storage.membership import HistoryAskRecord, Notice, PlacedEntry
from sabir.storage.records import EntryRecord, RoomId
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole

FILE_TYPE: Final = "application/vnd.sabir.history"
_PRIVATE: Final = b"history ask"
_PAGE: Final = 500
_NOWHERE: Final = RoomId("")
_LOCAL: Final = ("local",)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskShown:
    """A question, for people.

    Attributes:
        device: URI of the client that asks.
        asked_at: when.
        ours: this device asks.
        rooms: in how many rooms of ours the one who asks is.
        fingerprint: of the signature key with which it asks there; empty: in none.
    """

    device: str
    asked_at: Instant
    ours: bool
    rooms: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given: rooms, and entries in all of them."""

    rooms: int
    entries: int


class Histories:
    """Asks for history, and gives it.

    Args:
        around: what rooms share.
        sessions: the rooms that we are in.
        device: URI of our client.
    """

    def __init__(
        self,
        around: Around,
        sessions: Callable[[], Sequence[RoomSession]],
        *,
        device: str,
    ) -> None:
        self._around = around
        self._sessions = sessions
        self._device = device
        self._suite = SUITES[SUITE]

    # ---- the device that asks

    async def ask(self) -> int:
        """Ask all other devices of ours; return how many there are.

        Raises:
            PolicyRefused: we have no other device.
            Unavailable: the provider does not answer.
        """
        around = self._around
        devices = [
            each.device_uri
            for each in await around.api.devices()
            if each.device_uri != self._device
        ]
        if not devices:
            raise PolicyRefused("you have no other device that could know more")
        seed = around.rng(self._suite.kem.private_octets)
        private, public = hpke.derive_key_pair(self._suite, seed)
        ask = HistoryAskRecord(
            id=around.rng(ASK_ID_OCTETS),
            device=self._device,
            sealed=around.vault.seal(_PRIVATE, private),
            asked_at=around.clock.now(),
        )
        await around.storage.add_history_ask(ask)
        for device in devices:
            await self._tell(device, ask.id, HistoryAsk(public_key=public))
        return len(devices)

    @property
    def fingerprint(self) -> str:
        """Return that of our own signature key, to compare where the owner approves."""
        return fingerprint(self._around.client.identity(self._suite).public)

    async def _gift(self, signed: SignedDeviceMessage, gift: HistoryGift) -> None:
        message, room = signed.message, RoomId(gift.room)
        if await self._signer(self._session(room), signed) is None:
            raise PeerMisbehaved("MIMI-395", "a gift that its sender did not sign")
        asks = await self._around.storage.history_asks()
        ask = next((each for each in asks if each.id == message.ask_id), None)
        if ask is None or not ask.sealed:
            raise PeerMisbehaved("MIMI-395", "history that nobody asked for")
        private = self._around.vault.open(_PRIVATE, ask.sealed)
        info = _info(message)
        try:
            described = hpke.open_(
                self._suite, private, info, gift.enc, gift.ciphertext
            )
        except (OpenFailed, BadKey) as error:
            raise PeerMisbehaved("MIMI-395", "a gift that does not open") from error
        content = codec.decode(described)
        if not isinstance(content.body, ExternalPart):
            raise PeerMisbehaved("MIMI-395", "a gift without a file")
        entries = read_history(await self._fetch(content.body), room)
        count = await self._around.storage.prepend(
            room, await self._judged(room, entries)
        )
        await self._note(room, "history", f"{count} earlier entries")
        self._around.on_entries(room)

    async def _fetch(self, part: ExternalPart) -> bytes:
        with tempfile.TemporaryFile() as sealed:
            await self._around.api.download(
                part.url,
                _LOCAL,
                domain_of(self._device),
                sealed,
                octets_max=FILE_OCTETS_MAX + TAG_OCTETS,
            )
            return await asyncio.to_thread(_open, part, sealed)

    async def _judged(
        self, room: RoomId, entries: Sequence[PlacedEntry]
    ) -> Sequence[PlacedEntry]:
        """Say anew what the hub's marks are worth, whatever the other device says."""
        session = self._session(room)
        async with session.ledger.turn() as member:
            state = member.room

        def judged(placed: PlacedEntry) -> PlacedEntry:
            origin = placed.provenance
            if origin is None:
                return placed
            verdict = frank_verdict(
                state,
                self._suite,
                sender=origin.sender,
                accepted_at=placed.accepted_at,
                frank=read_whole(origin.frank, read_frank) if origin.frank else None,
            )
            return replace(placed, provenance=replace(origin, verdict=str(verdict)))

        return [judged(each) for each in entries]

    # ---- the device that gives

    async def asked(self) -> Sequence[AskShown]:
        """Return who asks, oldest first; questions that are too old are forgotten."""
        shown = []
        for each in await self._live():
            keys = await self._keys(each)
            shown.append(
                AskShown(
                    device=each.device,
                    asked_at=each.asked_at,
                    ours=bool(each.sealed),
                    rooms=len(keys),
                    fingerprint=fingerprint(*set(keys.values())) if keys else "",
                )
            )
        return shown

    async def give(self, device: str) -> Given:
        """Give a device that asks all that it may know: the owner approves.

        Raises:
            PolicyRefused: it does not ask, or is in no room with us.
            Unavailable: the provider does not answer.
            StorageFailed: our disk.
        """
        asks = {each.device: each for each in await self._live() if not each.sealed}
        ask = asks.get(device)
        if ask is None:
            raise PolicyRefused(
                f"{device} does not ask; run `sabir home history ask` there first"
            )
        rooms = await self._keys(ask)
        if not rooms:
            raise PolicyRefused(f"{device} is in no room that this device is in")
        entries = 0
        for room in rooms:
            entries += await self._give_room(ask, room)
        await self._around.storage.drop_history_ask(ask.id)
        await self._note(_NOWHERE, "history-given", f"{len(rooms)} rooms to {device}")
        return Given(rooms=len(rooms), entries=entries)

    async def _give_room(self, ask: HistoryAskRecord, room: RoomId) -> int:
        around, storage = self._around, self._around.storage
        entries = await self._entries(room)
        origins = await storage.provenance(each.entry for each in entries)
        octets = await asyncio.to_thread(write_history, room, entries, origins)
        content = Content(salt=around.rng(SALT_OCTETS), body=await self._store(octets))
        message = DeviceMessage(
            sender=self._device,
            recipient=ask.device,
            at=around.clock.now(),
            ask_id=ask.id,
            said=HistoryGift(room=room, enc=b"", ciphertext=b""),
        )
        try:
            enc, ciphertext = hpke.seal(
                self._suite,
                _public_key(ask),
                _info(message),
                codec.encode(content),
                around.rng(self._suite.kem.private_octets),
            )
        except BadKey as error:
            raise PolicyRefused(f"{ask.device} asks with a key that is none") from error
        gift = HistoryGift(room=room, enc=enc, ciphertext=ciphertext)
        await self._tell(ask.device, ask.id, gift)
        return len(entries)

    async def _entries(self, room: RoomId) -> list[EntryRecord]:
        storage = self._around.storage
        entries: list[EntryRecord] = []
        after = await storage.timeline_start(room) - 1
        while page := await storage.after(room, after, count_max=_PAGE):
            entries += page
            del entries[:-ENTRIES_MAX]
            after = page[-1].seq
        return entries

    async def _store(self, octets: bytes) -> ExternalPart:
        around = self._around
        sealer = AssetSealer(around.rng)
        with tempfile.TemporaryFile() as sealed:
            try:
                sealed.write(sealer.update(octets))
                sealed.write(sealer.finish())
                sealed.flush()
            except OSError as error:
                raise StorageFailed(f"temporary file: {error.strerror}") from error
            key = f"history-{sealer.sha256.hex()[:32]}"
            stored = await around.api.upload(sealed, sealer.size, key)
        expires_s = stored.expires_ms // 1_000
        return sealer.describe(stored.url, FILE_TYPE, expires_s=expires_s)

    # ---- both

    async def take(self, octets: bytes) -> None:
        """Take what another device wrote; what is wrong is noted and passed over.

        Raises:
            Unavailable: the provider does not answer.
            StorageFailed: our disk.
        """
        try:
            signed = decode_device_message(octets)
            self._check(signed.message)
            message = signed.message
            match message.said:
                case HistoryAsk():
                    await self._asked(signed)
                case HistoryGift():
                    await self._gift(signed, message.said)
        except (Malformed, PeerMisbehaved, PeerIncompatible, PolicyRefused) as error:
            _log.warning("device_message_refused", reason=str(error))
            await self._note(_NOWHERE, "device-message-refused", str(error))

    async def _asked(self, signed: SignedDeviceMessage) -> None:
        """Keep a question; the signature is looked at when its rooms are.

        It may be faster than the commit by which its device comes into a room.
        """
        message = signed.message
        if len(await self._live()) >= HISTORY_ASKS_MAX:
            raise PolicyRefused("too many devices ask for history")
        record = HistoryAskRecord(
            id=message.ask_id,
            device=message.sender,
            signed=signed.encode(),
            asked_at=min(message.at, self._around.clock.now()),
        )
        await self._around.storage.add_history_ask(record)
        detail = f"{message.sender} asks for what was said before it came"
        await self._note(_NOWHERE, "history-asked", detail)

    def _check(self, message: DeviceMessage) -> None:
        if message.recipient != self._device or message.sender == self._device:
            raise PeerMisbehaved("MIMI-395", "a device's message to another one")
        if user_of(message.sender) != user_of(self._device):
            raise PeerMisbehaved("MIMI-395", "a device of another user")

    async def _live(self) -> Sequence[HistoryAskRecord]:
        storage, now = self._around.storage, self._around.clock.now()
        live = []
        for each in await storage.history_asks():
            if now - each.asked_at > HISTORY_ASK_MS:
                await storage.drop_history_ask(each.id)
            else:
                live.append(each)
        return live

    async def _keys(self, ask: HistoryAskRecord) -> dict[RoomId, bytes]:
        """Return the key of the one who asks, in each room where it is theirs."""
        if not ask.signed:
            return {}
        signed = decode_device_message(ask.signed)
        return {
            session.room: key
            for session in self._sessions()
            if (key := await self._signer(session, signed)) is not None
        }

    async def _signer(
        self, session: RoomSession, signed: SignedDeviceMessage
    ) -> bytes | None:
        """Return the key of a message, if it is that of its sender's leaf in a room."""
        async with session.ledger.turn() as member:
            clients = list(member.view.clients)
        for client in clients:
            is_sender = client.identity == signed.message.sender
            if is_sender and signed.is_by(self._suite, client.signature_key):
                return client.signature_key
        return None

    def _session(self, room: RoomId) -> RoomSession:
        for session in self._sessions():
            if session.room == room:
                return session
        raise NotInRoom(f"we are not in {room}")

    async def _tell(
        self, device: str, ask_id: bytes, said: HistoryAsk | HistoryGift
    ) -> None:
        around = self._around
        message = DeviceMessage(
            sender=self._device,
            recipient=device,
            at=around.clock.now(),
            ask_id=ask_id,
            said=said,
        )
        private = around.client.identity(self._suite).private.reveal()
        octets = sign_message(self._suite, private, message).encode()
        key = idempotency_key("device message", device, octets)
        await around.api.tell_device(device, octets, key)

    async def _note(self, room: RoomId, kind: str, detail: str) -> None:
        around = self._around
        notice = Notice(kind=kind, detail=detail)
        await around.storage.add_notice(room, notice, now=around.clock.now())


def _public_key(ask: HistoryAskRecord) -> bytes:
    said = decode_device_message(ask.signed).message.said
    assert isinstance(said, HistoryAsk), "nothing else is kept"
    return said.public_key


def _open(part: ExternalPart, sealed: BinaryIO) -> bytes:
    pieces = open_asset(part, reader_of(sealed), octets_max=FILE_OCTETS_MAX)
    return b"".join(pieces)


def _info(message: DeviceMessage) -> bytes:
    """Bind a gift to its question, its two devices and its room."""
    assert isinstance(message.said, HistoryGift)
    names = (message.sender, message.recipient, message.said.room)
    return b"SabirHistory\0" + message.ask_id + "\0".join(names).encode()
