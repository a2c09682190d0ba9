"""What a room's stream says to a member: `Event`, one class for each kind.

`accepted_at` is the hub's time in ms; it orders the room's timeline, ties by message
id (content-09). Events without it are about us, not about the room.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from sabir.content.model import Content, MessageId
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.components.roles import Role
from sabir.mimi.member.intents import Intent
from sabir.mimi.policy.view import Client
from sabir.mimi.structs.submit import Frank
from sabir.mls.components import MediaType

# ---- messages


class FrankVerdict(StrEnum):
    """What a message's frank is worth (D-46)."""

    ACCOUNTABLE = "accountable"
    """The hub vouches for sender, room and time: the message can be reported."""
    NOT_ACCOUNTABLE = "not-accountable"
    """There is a frank, and it is of something else: kept as evidence."""
    NOT_REPORTABLE = "not-reportable"
    """There is no frank, although the room has a franking agent."""
    UNFRANKED = "unfranked"
    """The room has no franking agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Franked:
    """What a report of a message will need; to be stored with it.

    Attributes:
        verdict: what the frank is worth.
        tag: franking tag of the message, None if it has none.
        frank: as the hub sent it.
        framing: media type under which the content was sent.
    """

    verdict: FrankVerdict
    tag: bytes | None = field(default=None, repr=False)
    frank: Frank | None = field(default=None, repr=False)
    framing: MediaType | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A message, ours or another's, at its place in the room.

    Show it only after `admission.admit`, which compares it with what it refers to.

    Attributes:
        accepted_at: ms.
        digest: SHA-256 of the MLSMessage.
        message_id: of the content.
        sender: URI of the user.
        client: URI of the client.
        own: we sent it, with this client.
        content: the container, read.
        octets: the container, as sent.
        franked: for reports.
        role: of the sender, when the hub accepted it.
    """

    accepted_at: int
    digest: bytes
    message_id: MessageId
    sender: str
    client: str
    own: bool = False
    content: Content = field(repr=False)
    octets: bytes = field(repr=False)
    franked: Franked
    role: Role

    @property
    def references(self) -> tuple[MessageId, ...]:
        """Return the messages that `admission.admit` asks about."""
        named = (self.content.replaces, self.content.in_reply_to)
        return (self.message_id, *(each for each in named if each is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReceived:
    """Somebody's receipts; no entry of the timeline (D-43).

    Attributes:
        accepted_at: ms.
        digest: SHA-256 of the MLSMessage.
        sender: URI of the user.
        client: URI of the client.
        reports: pairs of a message and its status, a `status.Status` or another
            number.
    """

    accepted_at: int
    digest: bytes
    sender: str
    client: str
    reports: tuple[tuple[MessageId, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReceived:
    """Something of a media type that we do not read: shown as unsupported."""

    accepted_at: int
    digest: bytes
    sender: str
    client: str
    media_type: MediaType
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused:
    """The hub did not take a message of ours.

    Attributes:
        message_id: of the content.
        octets: the content; to be sent once more, as it is, if `again`.
        again: the epoch was over: it is only to be encrypted anew.
    """

    message_id: MessageId
    octets: bytes = field(repr=False)
    again: bool


# ---- the room


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged:
    """A user's role in the room; 0 stands for "not in the list".

    Attributes:
        user: URI.
        old: before.
        new: after.
        by: URI of who did it; empty where that cannot be told.
    """

    user: str
    old: int
    new: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantsChanged:
    """People came, left, or have other roles."""

    accepted_at: int
    changes: tuple[RoleChanged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsChanged:
    """Devices came or went. Whoever keeps a book of keys looks the new ones up there.

    Attributes:
        accepted_at: ms.
        added: new leaves.
        removed: leaves that are gone.
        by: URI of the user who committed it.
    """

    accepted_at: int
    added: tuple[Client, ...]
    removed: tuple[Client, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataChanged:
    """The room has another name or the like.

    Attributes:
        accepted_at: ms.
        old: before.
        new: after.
        fields: names of what differs.
        by: URI of the user; empty where that cannot be told.
    """

    accepted_at: int
    old: RoomMetadata
    new: RoomMetadata
    fields: frozenset[str]
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged:
    """Roles or policies of the room changed.

    Attributes:
        accepted_at: ms.
        components: ids of what changed.
        by: URI of the user who committed it.
    """

    accepted_at: int
    components: tuple[int, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitWanted:
    """Proposals of others wait for anybody's commit (D-54).

    Attributes:
        delay_ms: perform `CommitPending` after that, unless somebody was faster;
            random, so that not all do so at once.
    """

    delay_ms: int


# ---- us


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """We are in the room.

    Attributes:
        accepted_at: ms of what brought us in.
        by: URI of the user who let us in; our own where we came by ourselves.
    """

    accepted_at: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedFromRoom:
    """This client is not in the room any more.

    Attributes:
        accepted_at: ms.
        by: URI of the user who committed it.
    """

    accepted_at: int
    by: str


class Outcome(StrEnum):
    """What became of an operation."""

    ACCEPTED = "accepted"
    RACE_LOST = "race-lost"
    """Another commit was first: perform the intent again after it was received."""
    REFUSED = "refused"
    """The hub says no; `reason` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSettled:
    """An operation of ours is over.

    Attributes:
        intent: what was wanted; None for making or joining a room.
        outcome: what became of it.
        reason: the hub's description, with REFUSED.
    """

    intent: Intent | None
    outcome: Outcome
    reason: str = ""


# ---- trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The hub accepted what the room's policy forbids: evidence against it (D-48).

    Attributes:
        accepted_at: ms.
        slug: of the refusal that it should have been.
        detail: what was done, in numbers and names of capabilities.
        by: URI of the user who did it, if that can be told.
        evidence: the FanoutMessage, or the Welcome's GroupContext.
    """

    accepted_at: int
    slug: str
    detail: str
    by: str = ""
    evidence: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingFrozen:
    """Clients are in the room whom nobody let in; nothing is sent until a person
    acknowledges them (D-48).
    """  # noqa: D205  one thought

    accepted_at: int
    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResyncNeeded:
    """We cannot follow the group: join again from outside (7.5)."""

    reason: str


class Sign(StrEnum):
    """What is not as an honest hub would send it."""

    MISSING = "missing"
    """Messages that a client sent before this one did not come."""
    REORDERED = "reordered"
    """A message comes after later ones of the same client."""
    TIME_BACK = "time-back"
    """The hub's times do not grow (D-22)."""
    NO_KEY = "no-key"
    """No key of ours opens a message of this epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Irregular:
    """Our stream is not what members sent, as far as we can tell.

    No proof against the hub: it may have refused a message and rightly so; another
    provider on the way, or the sender, may be to blame. But a hub that drops, reorders
    or shows members different rooms leaves such signs, and members who compare the
    fingerprints of an epoch know (RFC 9420 section 8.7).

    Attributes:
        accepted_at: ms.
        sign: what is wrong.
        client: URI of the sender's client, if that can be told.
        count: messages that are missing, with MISSING.
    """

    accepted_at: int
    sign: Sign
    client: str = ""
    count: int = 0


class Why(StrEnum):
    """Why something is not shown."""

    NOT_READABLE = "not-readable"
    TOO_LATE = "too-late"
    BAD_TAG = "bad-tag"
    OTHER_SENDER = "other-sender"
    SENDER_OUT = "sender-out"
    BAD_TIME = "bad-time"
    BAD_EXPIRY = "bad-expiry"
    NOT_PERMITTED = "not-permitted"
    KNOWN_ID = "known-id"
    OWN_UNKNOWN = "own-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """Something is not shown; logged.

    Attributes:
        accepted_at: ms.
        why: in one word.
        detail: rule number, or name of the capability that the sender lacks.
        sender: URI of the user, if that can be told.
    """

    accepted_at: int
    why: Why
    detail: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """We have it."""

    accepted_at: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NotForUs:
    """It is from before we came, from after we left, or of another group."""

    accepted_at: int
    digest: bytes


Event = (
    MessageReceived
    | StatusReceived
    | ForeignReceived
    | MessageRefused
    | ParticipantsChanged
    | ClientsChanged
    | MetadataChanged
    | PolicyChanged
    | CommitWanted
    | Joined
    | RemovedFromRoom
    | OperationSettled
    | Violation
    | Irregular
    | SendingFrozen
    | ResyncNeeded
    | Discarded
    | Duplicate
    | NotForUs
)
"""All that `RoomMember` reports."""
