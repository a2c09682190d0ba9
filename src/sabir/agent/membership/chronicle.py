"""From what a room's machine reports to what is stored and done about it.

One call takes the events of one step and returns what belongs into the step's
transaction, and what the session has to do after it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from sabir.agent.membership.limits import EVIDENCE_OCTETS_MAX, NOTICE_CHARS_MAX
from sabir.agent.membership.naming import name_of
from sabir.agent.membership.vouching import GHOST_MAY_NOT, author_shown, refusal
from sabir.clock import Instant
from sabir.content import codec, ids
from sabir.content.composing import compose
from sabir.content.meaning import (
    Author,
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import (
    SALT_OCTETS,
    Content,
    ExtensionKey,
    MessageId,
    SinglePart,
)
from sabir.content.reading import read
from sabir.mimi.components.participants import BANNED, NO_ROLE
from sabir.mimi.ghosts import read_ghost
from sabir.mimi.member.admission import Held, admit
from sabir.mimi.member.events import (
    ClientsChanged,
    CommitWanted,
    Discarded,
    Duplicate,
    Event,
    ForeignReceived,
    Irregular,
    Joined,
    MessageReceived,
    MessageRefused,
    MetadataChanged,
    NotForUs,
    OperationSettled,
    Outcome,
    ParticipantsChanged,
    PolicyChanged,
    RemovedFromRoom,
    ResyncNeeded,
    RoleChanged,
    SendingFrozen,
    Sign,
    StatusReceived,
    Violation,
    Why,
)
from sabir.mimi.member.intents import Leave
from sabir.mimi.member.kind_capability import Known, KnownMessage, is_reaction
from sabir.mimi.member.receiving import AHEAD_MS_MAX
from sabir.mimi.policy.view import RoomView
from sabir.storage.membership import (
    MembershipState,
    Notice,
    PlacedEntry,
    Provenance,
    Receipt,
    WishFate,
)
from sabir.storage.records import EntryRecord, NewEntry, RoomId

_log = structlog.get_logger()

_KINDS: Final[Mapping[type[Meaning], str]] = {
    Said: "said",
    Edited: "edited",
    Deleted: "deleted",
    Reacted: "reacted",
    RoomEvent: "event",
}


class Remembered(Protocol):
    """What the chronicle looks up."""

    async def entries(
        self, ids: Iterable[MessageId]
    ) -> Mapping[MessageId, EntryRecord]:
        """See `Timeline.entries`."""
        ...

    async def provenance(
        self, entries: Iterable[MessageId]
    ) -> Mapping[MessageId, Provenance]:
        """See `Memberships.provenance`."""
        ...

    async def is_topic(self, room: RoomId, topic: bytes) -> bool:
        """See `Memberships.is_topic`."""
        ...

    async def is_deleted(self, entry: MessageId) -> bool:
        """See `Memberships.is_deleted`."""
        ...


@dataclass(slots=True)
class Page:
    """What the events of one step come to.

    Attributes:
        entries, receipts, notices, refused, state, detail, name, wish: for the step's
            transaction.
        commit_in_ms: proposals wait; commit them after that.
        resync: why we have to come in anew.
        settled: the operation of ours that is over.
    """

    entries: list[PlacedEntry] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    refused: dict[MessageId, str] = field(default_factory=dict)
    state: MembershipState | None = None
    detail: str = ""
    name: str | None = None
    wish: WishFate | None = None
    commit_in_ms: int | None = None
    resync: str = ""
    settled: OperationSettled | None = None

    def note(self, kind: str, detail: str, evidence: bytes = b"") -> None:
        """Note something down for people."""
        if len(evidence) > EVIDENCE_OCTETS_MAX:
            detail = f"({len(evidence)} octets of evidence were not kept) {detail}"
            evidence = b""
        self.notices.append(
            Notice(kind=kind, detail=detail[:NOTICE_CHARS_MAX], evidence=evidence)
        )


class Chronicle:
    """Writes the pages of one room.

    Args:
        room: URI.
        storage: where to look things up.
    """

    def __init__(self, room: RoomId, storage: Remembered) -> None:
        self._room = room
        self._storage = storage

    async def page(
        self, events: Iterable[Event], view: RoomView, *, now: Instant
    ) -> Page:
        """Write down the events of one step.

        Args:
            events: from `RoomMember`.
            view: the room after them.
            now: our time.
        """
        page = Page()
        for event in events:
            match event:
                case MessageReceived():
                    await self._message(page, event, view, now)
                case StatusReceived():
                    page.receipts += (
                        Receipt(entry=entry, user=event.sender, status=status)
                        for entry, status in event.reports
                    )
                case ForeignReceived():
                    page.entries.append(self._foreign(event, now))
                case ParticipantsChanged() | MetadataChanged() | ClientsChanged():
                    self._happenings(page, event, view, now)
                    if isinstance(event, MetadataChanged) and "name" in event.fields:
                        page.name = event.new.name
                case _:
                    self._other(page, event, view)
        return page

    # ---- messages

    async def known(self, content: Content, *more: MessageId) -> Known:
        """Return what the timeline knows of what a content refers to."""
        named = (content.replaces, content.in_reply_to, *more)
        wanted = [each for each in named if each is not None]
        records = await self._storage.entries(wanted)
        origins = await self._storage.provenance(records)
        topic = content.topic_id
        has_topic = bool(topic) and await self._storage.is_topic(self._room, topic)
        return Known(
            messages={
                entry: KnownMessage(
                    sender=origins[entry].sender if entry in origins else record.author,
                    is_reaction=record.kind == "reacted",
                    in_reply_to=record.target if record.kind == "reacted" else None,
                    is_deleted=await self._storage.is_deleted(entry),
                )
                for entry, record in records.items()
            },
            topics=frozenset({topic}) if has_topic else frozenset(),
        )

    async def _message(
        self, page: Page, received: MessageReceived, view: RoomView, now: Instant
    ) -> None:
        why = refusal(received.content, received.sender, view)
        if why:
            self._unwanted(page, received, why)
            return
        known = await self.known(received.content, received.message_id)
        # What comes in the hub's order is not waited for: the original of an edit
        # would be here.
        found = admit(received, known, final=True)
        match found:
            case MessageReceived():
                page.entries.append(self._entry(found, now))
            case Discarded():
                self._discarded(page, found)
                if received.own and found.why is not Why.KNOWN_ID:
                    page.refused[received.message_id] = (
                        f"nobody shows it: {found.why} {found.detail}".strip()
                    )
            case Held():
                raise AssertionError("nothing is held when it is final")

    def _unwanted(self, page: Page, received: MessageReceived, why: str) -> None:
        """Show nothing of a ghost that may say nothing here."""
        detail = f"{GHOST_MAY_NOT} {why}"
        if received.own:
            page.refused[received.message_id] = f"nobody shows it: {detail}"
            return
        self._discarded(
            page,
            Discarded(
                accepted_at=received.accepted_at,
                why=Why.NOT_PERMITTED,
                detail=detail,
                sender=received.sender,
            ),
        )

    def _entry(self, received: MessageReceived, now: Instant) -> PlacedEntry:
        content = received.content
        meaning = read(content)
        author = author_shown(content, received.sender)
        franked = received.franked
        kind = _KINDS[type(meaning)]
        if kind == "said" and content.in_reply_to is not None and is_reaction(content):
            kind = "reacted"  # several at once
        return PlacedEntry(
            new=NewEntry(
                entry=received.message_id,
                submission=f"mimi:{received.message_id.hex()}",
                kind=kind,
                author=received.sender if author is None else author.uri,
                author_name=author.name if author else name_of(received.sender),
                content=received.octets,
                target=_target(meaning),
                emoji=meaning.emoji if isinstance(meaning, Reacted) else "",
                received_at=now,
                sent_at=_sent_at(content, received.accepted_at),
            ),
            accepted_at=Instant(received.accepted_at),
            provenance=Provenance(
                sender=received.sender,
                client=received.client,
                topic=content.topic_id,
                verdict=str(franked.verdict),
                tag=franked.tag or b"",
                frank=b"" if franked.frank is None else franked.frank.encode(),
                framing=b"" if franked.framing is None else franked.framing.encode(),
            ),
        )

    def _foreign(self, event: ForeignReceived, now: Instant) -> PlacedEntry:
        """Show something of an unknown type as what cannot be shown (5.8)."""
        content = Content(
            salt=event.digest[:SALT_OCTETS],
            body=SinglePart(
                content_type=event.media_type.name.decode("ascii", "replace"),
                content=event.octets,
            ),
            extensions={
                int(ExtensionKey.SENDER_URI): event.sender,
                int(ExtensionKey.ROOM_URI): self._room,
            },
        )
        return self._noted(
            content, "said", event.sender, Instant(event.accepted_at), now
        )

    # ---- what happens in the room

    def _happenings(
        self,
        page: Page,
        event: ParticipantsChanged | MetadataChanged | ClientsChanged,
        view: RoomView,
        now: Instant,
    ) -> None:
        at = Instant(event.accepted_at)
        for number, (user, happened) in enumerate(_room_events(event, view)):
            about = f"{event.accepted_at} {type(event).__name__} {number}".encode()
            content = compose(
                happened,
                salt=hashlib.sha256(self._room.encode() + about).digest()[:SALT_OCTETS],
                sender_uri=user,
                room_uri=self._room,
                author=Author(uri=user, name=name_of(user)),
                origin=None,
                sent_at=at,
            )
            page.entries.append(self._noted(content, "event", user, at, now))

    def _noted(
        self, content: Content, kind: str, user: str, at: Instant, now: Instant
    ) -> PlacedEntry:
        """Return an entry that the agent makes itself; the same each time."""
        octets = codec.encode(content)
        entry = ids.message_id(user, self._room, octets, content.salt)
        return PlacedEntry(
            new=NewEntry(
                entry=entry,
                submission=f"mimi:{entry.hex()}",
                kind=kind,
                author=user,
                author_name=name_of(user),
                content=octets,
                received_at=now,
                sent_at=at,
            ),
            accepted_at=at,
        )

    # ---- about us, and trouble

    def _other(self, page: Page, event: Event, view: RoomView) -> None:
        match event:
            case MessageRefused(message_id=entry, again=False):
                page.refused[entry] = "the room's hub does not take it"
            case Joined():
                page.state = MembershipState.ACTIVE
                page.name = view.room.metadata.name
            case RemovedFromRoom(by=by):
                page.state = MembershipState.LEFT
                page.detail = f"removed by {by}" if by else "removed"
            case OperationSettled():
                _settled(page, event)
            case CommitWanted(delay_ms=delay_ms):
                page.commit_in_ms = delay_ms
            case ResyncNeeded(reason=reason):
                page.resync = reason
                page.note("resync", reason)
            case Irregular():
                self._irregular(page, event)
            case PolicyChanged(components=components, by=by):
                numbers = ", ".join(f"0x{number:04X}" for number in components)
                page.note("policy-changed", f"components {numbers}, by {by}")
            case Violation(slug=slug, detail=detail, by=by, evidence=evidence):
                page.note("violation", f"{slug}: {detail} {by}".strip(), evidence)
            case SendingFrozen(clients=clients):
                names = ", ".join(client.identity for client in clients)
                page.note("sending-frozen", names)
            case Discarded():
                self._discarded(page, event)
            case MessageRefused() | Duplicate() | NotForUs():
                pass
            case _:
                raise AssertionError(type(event))

    def _irregular(self, page: Page, event: Irregular) -> None:
        what = irregularity(event)
        _log.warning("stream_irregular", room=self._room, sign=str(event.sign))
        page.note("irregular", what)

    def _discarded(self, page: Page, event: Discarded) -> None:
        if event.why is Why.KNOWN_ID:
            return
        _log.info(
            "message_discarded",
            room=self._room,
            why=str(event.why),
            detail=event.detail,
            sender=event.sender,
        )
        page.note("discarded", f"{event.why} {event.detail} {event.sender}".strip())


def irregularity(event: Irregular) -> str:
    """Say what is not as an honest hub would send it, for people."""
    match event.sign:
        case Sign.MISSING:
            return (
                f"{event.count} message(s) of {event.client} did not come: the hub"
                " holds them back, or refused them"
            )
        case Sign.REORDERED:
            return (
                f"a message of {event.client} came after later ones: the hub changed"
                " the order"
            )
        case Sign.TIME_BACK:
            return "the hub's times go back: it changed the order of what was said"
        case Sign.NO_KEY:
            return (
                "no key of ours opens a message: it is forged, or the hub shows its"
                " sender another room; compare the epoch's fingerprint with others"
            )


def _settled(page: Page, event: OperationSettled) -> None:
    page.settled = event
    match event.outcome:
        case Outcome.ACCEPTED:
            page.wish = WishFate.DONE
            if isinstance(event.intent, Leave):
                page.state = MembershipState.LEFT
                page.detail = "left"
        case Outcome.RACE_LOST:
            page.wish = WishFate.AGAIN
        case Outcome.REFUSED:
            page.wish = WishFate.DONE
            page.note("refused", event.reason)


def _room_events(
    event: ParticipantsChanged | MetadataChanged | ClientsChanged, view: RoomView
) -> Iterator[tuple[str, RoomEvent]]:
    match event:
        case ParticipantsChanged(changes=changes):
            for change in changes:
                if not _is_introduction(change):
                    yield change.user, _role_event(change, view)
        case MetadataChanged(new=new, fields=fields, by=by):
            if "name" in fields:
                yield by, RoomEvent(kind=RoomEventKind.NAME, value=new.name)
            if "subject" in fields:
                yield by, RoomEvent(kind=RoomEventKind.TOPIC, value=new.subject)
        case ClientsChanged(removed=removed, by=by):
            for user in sorted({client.user for client in removed}):
                gone = view.is_listed(user) and not view.leaves_of(user)
                if gone and not view.is_banned(user) and user != by:
                    reason = f"kicked by {name_of(by)}" if by else ""
                    yield user, RoomEvent(kind=RoomEventKind.REMOVED, value=reason)


def _is_introduction(change: RoleChanged) -> bool:
    """Whether a gateway lists or unlists a ghost: the chat itself says who comes."""
    ghost = read_ghost(change.user)
    return ghost is not None and change.by in {"", ghost.gateway}


def _role_event(change: RoleChanged, view: RoomView) -> RoomEvent:
    by_other = bool(change.by) and change.by != change.user
    by = f"by {name_of(change.by)}" if by_other else ""
    if change.new == NO_ROLE:
        kind = RoomEventKind.REMOVED if by_other else RoomEventKind.LEFT
        return RoomEvent(kind=kind, value=by)
    if change.new == BANNED and view.room.roles.can_ban:
        return RoomEvent(kind=RoomEventKind.REMOVED, value=f"banned {by}".strip())
    if change.old == NO_ROLE:
        return RoomEvent(kind=RoomEventKind.JOINED)
    role = view.room.roles.role(change.new).name or f"role {change.new}"
    line = f"{name_of(change.user)} is {role} now"
    return RoomEvent(kind=RoomEventKind.NOTICE, value=f"{line}, {by}" if by else line)


def _target(meaning: Meaning) -> MessageId | None:
    match meaning:
        case Edited(target=target) | Deleted(target=target) | Reacted(target=target):
            return target
        case _:
            return None


def _sent_at(content: Content, accepted_at: int) -> Instant:
    """Return when its author says that it was sent (5.3, key 3)."""
    match content.extensions.get(int(ExtensionKey.SENDER_TIMESTAMP)):
        case Mapping() as value:
            seconds, milliseconds = value.get(1), value.get(-3, 0)
            if isinstance(seconds, int) and isinstance(milliseconds, int):
                said = seconds * 1_000 + milliseconds
                if 0 <= said <= accepted_at + AHEAD_MS_MAX:
                    return Instant(said)
        case _:
            pass
    return Instant(accepted_at)
