"""What a connector is: a small duty, and features it may add.

Rules every connector keeps (the contract kit in `sabir.testing` checks them):

 * It acknowledges to its network only after `Host.take` has returned (I1).
 * It hands on native events in the network's own order per chat, raw; meaning
   comes later, from the pure `decode`.
 * It never hands on what we sent ourselves: it reports those as `Host.echo`.
 * It writes to the network in the order of the calls to `send`, per chat, and
   says per message what became of it. Doubt is settled by `lookup`.
 * Trouble with the network ends `run` with an error of the blame tree; the
   supervisor starts it again with back-off.
 * Ids are opaque to everybody else.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType, Protocol, runtime_checkable

from sabir.clock import Clock, Instant
from sabir.content.capabilities import Capabilities
from sabir.content.meaning import MediaKind
from sabir.content.pieces import NativeRef, Piece
from sabir.content.rich import Rich
from sabir.crypto.secrets import Secret
from sabir.networks.login import LoginFlow

AccountId = NewType("AccountId", str)
"""Our name of one login on one network, chosen by the owner, e.g. `matrix`."""
ChatId = NewType("ChatId", str)
"""A conversation as its network names it."""
PersonId = NewType("PersonId", str)
"""Somebody as the network names them (for a group chat seat: that seat)."""
NativeId = NewType("NativeId", str)
"""A native event as its network names it, unique within (account, chat)."""
IdempotencyKey = NewType("IdempotencyKey", str)
"""32 characters `a-z2-7`: the same for every attempt of the same piece."""
Rng = Callable[[int], bytes]

PAYLOAD_OCTETS_MAX: Final = 1024 * 1024
"""One native event as stored; Matrix events have 64 KiB, stanzas 512 KiB. A larger
one is cut, so that `decode` refuses it and people see that something was there."""


# ---- what comes in


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeEvent:
    """One event exactly as the network gave it; stored before anything else."""

    chat: ChatId
    native_id: NativeId
    payload: bytes
    """JSON or XML, as received, at most `PAYLOAD_OCTETS_MAX`."""
    revision: str = ""
    """Distinguishes several events that share one native id (usually empty)."""
    late: bool = False
    """True when it comes from catch-up or backfill, not live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody on the network."""

    id: PersonId
    name: str
    avatar: str | None = None
    """Media handle of their picture, for `DownloadsMedia`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeMedia:
    """A file that can be fetched from the network."""

    handle: str
    """Opaque to everyone but the connector (URL, mxc URI, encrypted-file JSON)."""
    content_type: str
    filename: str = ""
    size: int | None = None
    """Octets, as announced; not to be trusted."""
    kind: MediaKind = MediaKind.FILE
    description: str = ""
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A message."""

    text: Rich | None = None
    media: tuple[NativeMedia, ...] = ()
    reply_to: NativeId | None = None
    thread: NativeId | None = None
    """Root message of the thread."""
    emote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """The author replaced an earlier message of theirs."""

    target: NativeId
    text: Rich | None = None
    media: tuple[NativeMedia, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """A message or a reaction was taken back."""

    target: NativeId
    by_moderator: bool = False
    """The network itself vouches that the sender may do this to anybody's message
    (a moderator, or a server that checks). Without it only the author's counts."""
    any_version: bool = False
    """The network names a message by any of its versions, and the whole message is
    meant. Without it, taking back an edit is not taking back the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionAdded:
    """One more reaction; this event's native id names it."""

    target: NativeId
    emoji: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionsReplaced:
    """The person's whole set of reactions on `target` is now this."""

    target: NativeId
    emoji: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonJoined:
    """The sender came into the chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLeft:
    """The sender left, or was removed by somebody."""

    reason: str = ""
    removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChanged:
    """The sender has a new name or picture (see `Incoming.sender`)."""

    old_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRenamed:
    """The chat has a new name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicChanged:
    """The chat has a new topic."""

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAvatarChanged:
    """The chat has a new picture (None: none any more)."""

    media: NativeMedia | None


Action = (
    Posted
    | Corrected
    | Retracted
    | ReactionAdded
    | ReactionsReplaced
    | PersonJoined
    | PersonLeft
    | ProfileChanged
    | ChatRenamed
    | TopicChanged
    | ChatAvatarChanged
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A decoded native event."""

    sender: Person
    action: Action
    sent_at: Instant
    """As the network says; shown, never used for order. 0 = unknown."""
    aliases: tuple[NativeId, ...] = ()
    """Further native ids by which the same message is referred to."""
    lost: tuple[str, ...] = ()
    """What this network said and `decode` cannot express, as short phrases."""


# ---- signals: never stored, never promised


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """Somebody is typing, or stopped."""

    chat: ChatId
    person: Person
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Somebody's device has the message."""

    chat: ChatId
    person: Person
    native_id: NativeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Somebody has read everything up to this message."""

    chat: ChatId
    person: Person
    native_id: NativeId


Signal = Typing | Delivered | Read


# ---- what goes out


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """The room participant a piece comes from."""

    uri: str
    """Stable, opaque; a connector with ghosts derives the ghost's id from it."""
    name: str
    network: str
    """Network the person is really on, e.g. `matrix`."""


class MediaReader(Protocol):
    """The octets of one file, complete on our disk; may be read again."""

    size: int
    sha256: bytes

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file in pieces of at most 64 KiB."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One piece to send."""

    chat: ChatId
    key: IdempotencyKey
    speaker: Speaker
    piece: Piece
    sent_at: Instant
    """When the author wrote it."""
    media: MediaReader | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The network has it."""

    key: IdempotencyKey
    native_id: NativeId
    """Empty when the network gives this kind of piece no id (a join, say)."""
    aliases: tuple[NativeId, ...] = ()
    author: PersonId | None = None
    """Native id of the ghost or account that spoke."""
    lost: tuple[str, ...] = ()
    """What the connector's own render had to change, as short phrases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The network will never take this one; the next may go."""

    key: IdempotencyKey
    reason: str
    """For a person: why, and what can be done."""


Outcome = Sent | Refused


@dataclass(frozen=True, slots=True)
class NotSent:
    """`lookup`: it did not arrive; sending (again) is right."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """`lookup`: nobody can tell; it must be reported as ambiguous, never resent."""

    reason: str


Finding = Sent | NotSent | InDoubt


# ---- the host's side


class ConnectionState(StrEnum):
    """What a person sees of an account."""

    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"
    CONNECTED = "connected"
    TRANSIENT_DISCONNECT = "transient_disconnect"
    BAD_CREDENTIALS = "bad_credentials"
    STOPPED = "stopped"


class Host(Protocol):
    """What the agent offers a connector."""

    clock: Clock
    rng: Rng

    async def take(
        self, events: Sequence[NativeEvent], *, cursors: Mapping[str, str] | None = None
    ) -> None:
        """Store events and cursors in one transaction; durable on return (I1).

        Events already stored (same chat, native id, revision) are skipped (I2);
        events of chats without a portal advance the cursors only.

        Raises:
            StorageFailed: nothing was stored; do not acknowledge.
        """
        ...

    async def echo(self, chat: ChatId, *, key: IdempotencyKey, sent: Sent) -> None:
        """Record that our own message is on the network, seen by its echo.

        Needed only for echoes that no running `send` waits for (after a
        restart). Unknown keys are ignored.
        """
        ...

    async def cursor(self, stream: str) -> str | None:
        """Return the last cursor committed under this name, None at the start."""
        ...

    async def remember(self, name: str, value: str) -> None:
        """Store a small fact of this account (a ghost's nick, say), durably."""
        ...

    async def recall(self, name: str) -> str | None:
        """Return a fact stored by `remember`."""
        ...

    def signal(self, signal: Signal) -> None:
        """Pass on a typing notice or receipt; best effort."""
        ...

    def report(self, state: ConnectionState, detail: str = "") -> None:
        """Say how the connection is. `detail` is for a person."""
        ...

    def chats(self) -> Sequence[ChatId]:
        """Return the chats that have a portal now."""
        ...


class ChatKind(StrEnum):
    """Direct chat or group."""

    DIRECT = "direct"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatInfo:
    """What a chat is."""

    chat: ChatId
    kind: ChatKind
    name: str = ""
    topic: str = ""
    members: int | None = None
    encrypted: bool = False


class Connector(Protocol):
    """One account on one network. Every connector does this."""

    send_window: int
    """How many pieces one call of `send` may carry, per chat (1 to 50)."""

    async def run(self, host: Host) -> None:
        """Connect, catch up from the host's cursors, hand on events; until cancelled.

        Reports its states to the host. All its tasks end with it.

        Raises:
            Unavailable: the connection broke or could not be made.
            CredentialsRefused: token, password or certificate is not accepted.
            PeerIncompatible, PeerMisbehaved: as they say.
            StorageFailed: from `Host.take`.
        """
        ...

    def decode(self, event: NativeEvent) -> Incoming | None:
        """Say what a stored event means; None if it means nothing to people. Pure.

        Raises:
            PeerMisbehaved: malformed; the event is kept and reported, the rest goes on.
        """
        ...

    def capabilities(self, chat: ChatId) -> Capabilities:
        """Return what can be expressed in this chat now."""
        ...

    async def open_chat(self, chat: ChatId) -> ChatInfo:
        """Enter a chat (again): from now on its events are handed on.

        Called when a portal is made, and after each connect for every portal.
        Idempotent.

        Raises:
            PolicyRefused: we may not enter; the text says who must do what.
            Unavailable: not connected, or no answer.
        """
        ...

    async def close_chat(self, chat: ChatId) -> None:
        """Leave a chat: ghosts and listener go; its events are no longer handed on."""
        ...

    def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Outcome]:
        """Send pieces of one chat in order; yield one outcome for each, in order.

        Yields as each is accepted by the network. If it raises, the pieces not
        yet answered are in doubt and go to `lookup`.

        Raises:
            Unavailable: not connected, rate limited (`retry_after_ms`), no answer.
        """
        ...

    async def lookup(self, piece: Outgoing, *, attempted_at: Instant) -> Finding:
        """Find out whether an earlier attempt of this piece arrived.

        Raises:
            Unavailable: ask again later.
        """
        ...


@runtime_checkable
class DownloadsMedia(Protocol):
    """A network with files."""

    def download(self, handle: str, *, octets_max: int) -> AsyncIterator[bytes]:
        """Yield a file in pieces of at most 64 KiB.

        Raises:
            PolicyRefused: larger than `octets_max`, or an address we do not visit.
            Unavailable: no answer, or cut off; the download may be tried again.
        """
        ...


@runtime_checkable
class ShowsTyping(Protocol):
    """A network that shows who is typing."""

    async def typing(self, chat: ChatId, speaker: Speaker, *, active: bool) -> None:
        """Show it; best effort."""
        ...


@runtime_checkable
class ShowsReceipts(Protocol):
    """A network that shows who has got and read what."""

    async def receipt(
        self, chat: ChatId, speaker: Speaker, ref: NativeRef, *, read: bool
    ) -> None:
        """Show that `speaker` received (or read) the message `ref`."""
        ...


@runtime_checkable
class ListsChats(Protocol):
    """A network that can tell which chats the account is in."""

    async def list_chats(self) -> Sequence[ChatInfo]:
        """Return the account's chats."""
        ...


# ---- how a network is found


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One name in an account's section of the configuration."""

    name: str
    about: str
    kind: type = str
    """`str`, `int` or `bool`."""
    required: bool = True
    default: str | int | bool | None = None
    secret: bool = False
    """Kept encrypted, never shown."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One login, with checked settings."""

    id: AccountId
    network: str
    settings: Mapping[str, str | int | bool] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)


class Network(Protocol):
    """What an entry point of the group `sabir.networks` names."""

    name: str
    """Short and stable: `matrix`."""
    label: str
    """For people: `Matrix`."""
    settings: tuple[Setting, ...]

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account. No I/O.

        Raises:
            ConfigInvalid: a setting is wrong; names it and a valid form.
        """
        ...

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue by which a person adds an account."""
        ...
