"""What people do in rooms at a provider: `Desk`, for the command line and portals."""

import asyncio
from collections.abc import Awaitable, Sequence
from mimetypes import guess_type
from pathlib import Path
from typing import Final, TypeVar

import structlog

from sabir.agent.membership.composing import new_entry
from sabir.agent.membership.files import DiskFile, Files
from sabir.agent.membership.finding import find_user
from sabir.agent.membership.history import Histories
from sabir.agent.membership.inviting import Invited
from sabir.agent.membership.join_link import JoinLink
from sabir.agent.membership.ledger import Around
from sabir.agent.membership.limits import ANSWER_WAIT_S
from sabir.agent.membership.membership import Membership
from sabir.agent.membership.naming import idempotency_key
from sabir.agent.membership.reporting import abuse_report
from sabir.agent.membership.rooms import ProviderRooms
from sabir.agent.membership.showing import RoomShown, show_room
from sabir.content import codec
from sabir.content.meaning import (
    Attachment,
    Author,
    Edited,
    Meaning,
    MediaKind,
    Said,
)
from sabir.content.model import MessageId
from sabir.content.reading import read
from sabir.content.rich import Rich
from sabir.errors import PolicyRefused, Unavailable
from sabir.mimi.agent_api.people import Consents
from sabir.mimi.agent_api.registration import DeviceEntry
from sabir.mimi.agent_api.rooms import JoinCodeRequest
from sabir.mimi.codepoints import ConsentOperation
from sabir.mimi.member.intents import (
    Ban,
    Intent,
    Kick,
    Leave,
    RemoveUser,
    SetMetadata,
    SetRole,
)
from sabir.mimi.member.status import Reports, Status
from sabir.mimi.structs.consent import ConsentEntry
from sabir.mimi.template_names import TemplateName
from sabir.mimi.uris import Kind, parse_uri
from sabir.storage.membership import MembershipRecord
from sabir.storage.records import EntryRecord, NewEntry, RoomId

_log = structlog.get_logger()

READ_AT_ONCE_MAX: Final = 256
"""Entries that are reported as read together."""

T = TypeVar("T")


class Desk:
    """Takes people's wishes.

    Args:
        membership: running.
        user: our own URI.
        name: what we want to be called; others see it beside our provider's name.
    """

    def __init__(self, membership: Membership, *, user: str, name: str = "") -> None:
        self.user = user
        self._author = Author(uri=user, name=name) if name else None
        self.membership = membership
        self._around: Around = membership.around
        self._files = Files(self._around)
        self.rooms = ProviderRooms(self._around, user, membership.session)

    # ---- rooms

    async def create(
        self,
        name: str = "",
        template: TemplateName = TemplateName.GROUP,
        others: Sequence[str] = (),
    ) -> RoomId:
        """Make a room; with a direct conversation, the others are let in.

        Raises:
            PolicyRefused: the provider does not want it.
            Unavailable: it does not answer.
        """
        for user in others:
            parse_uri(user, Kind.USER)
        room = await _in_time(self.membership.entrance.create(template, name, others))
        for user in others:
            await self.membership.inviter.invite(room, user)
        return room

    async def listed(self) -> Sequence[MembershipRecord]:
        """Return all rooms that we are or were in."""
        return await self._around.storage.memberships()

    async def show(self, room: RoomId) -> RoomShown:
        """Return how a room is.

        Raises:
            NotInRoom: we are not in it.
        """
        return await show_room(self.membership.session(room).ledger, self._around)

    async def role(self, room: RoomId, text: str) -> int:
        """Return the number of the role that a person names.

        Args:
            room: URI.
            text: the role's name, or its number.

        Raises:
            PolicyRefused: the room has no such role.
            NotInRoom: we are not in it.
        """
        session = self.membership.session(room)
        async with session.ledger.turn() as member:
            roles = member.view.room.roles.roles
        for each in roles:
            if text.lower() in {each.name.lower(), str(each.index)}:
                return each.index
        names = ", ".join(each.name for each in roles)
        raise PolicyRefused(f'this room has no role "{text}"; it has {names}')

    async def invite(self, room: RoomId, user: str, role: int | None = None) -> Invited:
        """Let somebody in, or ask for their consent. Raises as `Inviter.invite`."""
        return await _in_time(self.membership.inviter.invite(room, user, role))

    async def join(self, link: str) -> RoomId:
        """Come in by an invitation's text, or by the URI of an open room.

        Raises:
            PolicyRefused: it is none, or the hub does not let us in.
            Unavailable: the hub does not answer.
        """
        if JoinLink.is_in(link):
            found = JoinLink.read(link)
            await _in_time(
                self.membership.entrance.join(found.room, found.code, found.role)
            )
            return found.room
        room = RoomId(parse_uri(link, Kind.ROOM).text)
        await _in_time(self.membership.entrance.join(room))
        return room

    async def make_link(
        self,
        room: RoomId,
        *,
        role: int,
        uses: int = 1,
        life_ms: int = 7 * 86_400_000,
        user: str = "",
    ) -> JoinLink:
        """Make an invitation for whoever has it; at our own provider's rooms only.

        Raises:
            PolicyRefused: the room or the provider does not allow it.
            Unavailable: the provider does not answer.
        """
        request = JoinCodeRequest(
            role=role,
            uses=uses,
            expires_ms=self._around.clock.now() + life_ms,
            user=user,
        )
        key = idempotency_key("joincode", self._around.rng(16))
        made = await self._around.api.make_join_code(room, request, key)
        return JoinLink(room=room, role=role, code=bytes(made.code))

    async def leave(self, room: RoomId) -> None:
        """Leave a room, with all our devices, and with the people of our chats."""
        try:
            await _in_time(self.rooms.unlist(room))
        except PolicyRefused as error:
            _log.info("ghosts_stay_listed", room=room, detail=str(error))
        await self._want(room, Leave())

    async def set_role(self, room: RoomId, user: str, role: int) -> None:
        """Give somebody another role."""
        await self._want(room, SetRole(user, role))

    async def kick(self, room: RoomId, user: str) -> None:
        """Remove somebody's devices; they stay in the list and may come back."""
        await self._want(room, Kick(user))

    async def remove(self, room: RoomId, user: str) -> None:
        """Take somebody out of the room."""
        await self._want(room, RemoveUser(user))

    async def ban(self, room: RoomId, user: str) -> None:
        """Keep somebody out."""
        await self._want(room, Ban(user))

    async def rename(self, room: RoomId, name: str) -> None:
        """Give a room another name."""
        await self._want(room, SetMetadata(name=name))

    async def close(self, room: RoomId) -> None:
        """Close a room of our provider for everybody.

        Raises:
            PolicyRefused: our role does not allow it, or the hub is another provider.
            Unavailable: the provider does not answer.
        """
        await self._around.api.close_room(room, idempotency_key("close", room))

    async def trust(self, room: RoomId) -> None:
        """Go on sending: we have looked at who froze it (D-48)."""
        session = self.membership.session(room)
        async with session.ledger.turn() as member:
            member.acknowledge()
            await session.ledger.keep(member)
        session.ring()

    async def _want(self, room: RoomId, intent: Intent) -> None:
        """Have something done.

        Raises:
            PolicyRefused: the room does not allow it.
            Unavailable: there is no answer yet; it is done as soon as there is.
        """
        await _in_time(self.membership.session(room).want(intent))

    # ---- messages

    async def post(
        self, room: RoomId, meaning: Meaning, *, key: str = ""
    ) -> EntryRecord:
        """Say something; returns when it has its place in the room.

        Args:
            room: URI.
            meaning: what to say.
            key: names this message: the same again is the same message. Empty: new.

        Raises:
            PolicyRefused: the room does not take it.
            NotEncodable: rooms cannot carry it.
            Unavailable: there is no answer yet; it is sent as soon as there is.
        """
        new = self._composed(room, meaning, key)
        (record,) = await _in_time(self.rooms.submit(room, [new]))
        return record

    def _composed(self, room: RoomId, meaning: Meaning, key: str) -> NewEntry:
        return new_entry(
            self._around,
            room,
            meaning,
            user=self.user,
            author=self._author,
            submission=f"desk:{key}" if key else "",
        )

    async def send_file(
        self,
        room: RoomId,
        path: Path,
        *,
        content_type: str = "",
        caption: Rich | None = None,
        in_reply_to: MessageId | None = None,
    ) -> EntryRecord:
        """Send a file; returns when the message has its place in the room.

        Args:
            room: URI.
            path: of the file.
            content_type: of the file; empty: by its name.
            caption: what to say with it.
            in_reply_to: what it answers.

        Raises:
            PolicyRefused: the room or the provider does not take it.
            Unavailable: the provider does not answer, then nothing was sent; or the
                hub, then it is sent as soon as it does.
            StorageFailed: the file cannot be read.
        """
        session = self.membership.session(room)
        kind = content_type or guess_type(path.name)[0] or "application/octet-stream"
        part = await self._files.upload(
            session, DiskFile(path), content_type=kind, filename=path.name
        )
        attachment = Attachment(part=part, kind=_media_kind(kind))
        said = Said(text=caption, attachments=(attachment,), in_reply_to=in_reply_to)
        return await self.post(room, said)

    async def save_file(
        self, room: RoomId, entry: EntryRecord, target: Path, *, number: int = 0
    ) -> int:
        """Fetch a file of a message.

        Args:
            room: URI.
            entry: the message.
            target: where the file goes; replaced if it is there.
            number: of the file in the message, from 0.

        Returns:
            How many octets it has.

        Raises:
            PolicyRefused: there is no such file, or the room does not allow it.
            PeerMisbehaved: it is another file than the message says.
            Unavailable: somebody does not answer.
            StorageFailed: it cannot be written.
        """
        session = self.membership.session(room)
        meaning = read(codec.decode(entry.content))
        files = meaning.attachments if isinstance(meaning, Said | Edited) else ()
        if not 0 <= number < len(files):
            raise PolicyRefused(f"this message has {len(files)} files")
        origins = await self._around.storage.provenance([entry.entry])
        origin = origins.get(entry.entry)
        sender = entry.author if origin is None else origin.sender
        part = files[number].part
        return await self._files.download(session, part, sender, target)

    async def mark_read(self, room: RoomId, until: int) -> int:
        """Report what others said as read, if the room wants reports.

        Args:
            room: URI.
            until: sequence number of the last entry that was read.

        Returns:
            How many are reported, in a moment.
        """
        session = self.membership.session(room)
        start = max(0, until - READ_AT_ONCE_MAX)
        entries = await self._around.storage.after(
            room, start, count_max=READ_AT_ONCE_MAX
        )
        said = [
            each.entry for each in entries if each.seq <= until and each.kind == "said"
        ]
        origins = await self._around.storage.provenance(said)
        reports: Reports = tuple(
            (entry, Status.READ)
            for entry in said
            if entry in origins and origins[entry].sender != self.user
        )
        if reports:
            session.report_status(reports)
        return len(reports)

    def pulse(self, room: RoomId) -> asyncio.Event:
        """Return what is set at the next change in a room; take it before looking."""
        return self._around.waiters.next_pulse(room)

    async def report(
        self, room: RoomId, entry: EntryRecord, *, note: str = "", anonymous: bool
    ) -> None:
        """Show a message to the room's hub, and ask it to look into it.

        Raises:
            PolicyRefused: nobody could verify it, or the provider refuses it.
            Unavailable: the hub does not answer.
        """
        origins = await self._around.storage.provenance([entry.entry])
        report = abuse_report(
            entry,
            origins.get(entry.entry),
            reporter="" if anonymous else self.user,
            note=note,
        )
        octets = report.encode()
        key = idempotency_key("report", room, octets)
        await self._around.api.report(room, octets, key)

    # ---- people

    async def find(self, text: str) -> str:
        """Return the URI of the user that a person names. Raises as `find_user`."""
        return await find_user(self._around.api, text)

    async def find_in(self, room: RoomId, text: str) -> str:
        """Return the URI of the participant that a person names.

        Args:
            room: URI.
            text: as for `find`; or of somebody of another network, their id there or
                the name they go by.

        Raises:
            PolicyRefused: nobody is called so, or more than one.
            NotInRoom: we are not in the room.
        """
        shown = await self.show(room)
        # Names are free to choose: none is taken for somebody's address.
        is_name = "@" not in text and ":" not in text
        found = [
            each.user
            for each in shown.participants
            if each.ghost is not None
            and (text == each.ghost.native or (is_name and text == each.name))
        ]
        if len(found) > 1:
            raise PolicyRefused(
                f'more than one is called "{text}"; `sabir room show --json` has URIs'
            )
        return found[0] if found else await self.find(text)

    async def consents(self) -> Consents:
        """Return whom we let add us, and who waits for that."""
        return await self._around.api.consents()

    async def consent(
        self, requester: str, *, room: str = "", grant: bool = True
    ) -> None:
        """Let somebody add us, or not any more.

        Args:
            requester: URI of the user.
            room: URI of the only room that it is about; empty: any.
            grant: or else revoke.
        """
        parse_uri(requester, Kind.USER)
        operation = ConsentOperation.GRANT if grant else ConsentOperation.REVOKE
        entry = ConsentEntry(
            operation=operation, requester=requester, target=self.user, room=room
        ).encode()
        key = idempotency_key("consent", self._around.rng(16))
        await self._around.api.tell_consent(entry, key)

    async def devices(self) -> Sequence[DeviceEntry]:
        """Return our devices."""
        return await self._around.api.devices()

    @property
    def histories(self) -> Histories:
        """What was said before one of our devices came."""
        return self.membership.histories

    async def remove_device(self, device: str) -> None:
        """Remove a device of ours that is lost; our rooms follow."""
        await self._around.api.remove_device(device)


async def _in_time(work: Awaitable[T]) -> T:
    """Wait as long as a person does.

    Raises:
        Unavailable: it takes longer; it goes on by itself.
    """
    try:
        async with asyncio.timeout(ANSWER_WAIT_S):
            return await work
    except TimeoutError:
        raise Unavailable(
            f"no answer in {ANSWER_WAIT_S} s; what was asked is done as soon as the"
            " hub answers, see `sabir room show`"
        ) from None


def _media_kind(content_type: str) -> MediaKind:
    match content_type.partition("/")[0]:
        case "image":
            return MediaKind.IMAGE
        case "video":
            return MediaKind.VIDEO
        case "audio":
            return MediaKind.AUDIO
        case _:
            return MediaKind.FILE
