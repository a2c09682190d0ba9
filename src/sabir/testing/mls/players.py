"""Members of one group from different implementations, behind one surface."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

from sabir.testing.mls.tsmls import TsMls, TsMlsRefused


class Side(StrEnum):
    """Whose code plays a member."""

    OURS = "sabir"
    THEIRS = "ts-mls"


EXPORT_LABEL: Final = "sabir test"
EXPORT_CONTEXT: Final = b"every epoch"
EXPORT_OCTETS: Final = 48


@dataclass(frozen=True, slots=True)
class View:
    """An epoch as one member sees it; all members must see the same."""

    epoch: int
    epoch_authenticator: bytes
    tree_hash: bytes
    transcript_hash: bytes
    exported: bytes
    members: tuple[tuple[int, bytes], ...]
    """Leaf index and identity, in order."""


@dataclass(frozen=True, slots=True)
class Add:
    """Bring somebody in, by an MLSMessage with a key package."""

    key_package: bytes


@dataclass(frozen=True, slots=True)
class Remove:
    """Put somebody out, by leaf index."""

    leaf: int


@dataclass(frozen=True, slots=True)
class Update:
    """Take new keys; only by reference."""


@dataclass(frozen=True, slots=True)
class Psk:
    """Mix in a key that all know, by its id."""

    psk_id: bytes


Change = Add | Remove | Update | Psk


@dataclass(frozen=True, slots=True)
class Committed:
    """What a committer sends, all octets MLSMessages; `tree` is a bare tree."""

    commit: bytes
    welcome: bytes | None
    tree: bytes | None
    """Beside the Welcome, when it is not inside."""


class Player(ABC):
    """One client and at most one group. Octets in and out are MLSMessages."""

    side: ClassVar[Side]
    refusals: ClassVar[tuple[type[Exception], ...]]
    """What refusing a message raises."""

    def __init__(self, name: str, suite: int) -> None:
        self.name = name
        self.suite = suite

    def __repr__(self) -> str:
        return f"<{self.name} of {self.side}>"

    @abstractmethod
    def key_package(self) -> bytes:
        """Make the key package by which this client is added."""

    @abstractmethod
    def create(self, group_id: bytes) -> None:
        """Begin a group."""

    @abstractmethod
    def join(self, welcome: bytes, tree: bytes | None) -> None:
        """Enter by a Welcome for the key package."""

    @abstractmethod
    def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes:
        """Enter by an external commit, which is returned.

        Args:
            group_info: with the tree inside.
            resync: replace the leaf that this client has in the group.
        """

    @abstractmethod
    def process(self, message: bytes) -> bytes | None:
        """Take a message of another member; return what it says, None of handshakes."""

    @abstractmethod
    def propose(self, change: Change, *, public: bool) -> bytes:
        """Propose a change for somebody to commit."""

    @abstractmethod
    def commit(
        self,
        changes: tuple[Change, ...],
        *,
        public: bool,
        path: bool,
        tree_inside: bool,
    ) -> Committed:
        """Commit what was proposed and these changes, and go on to the new epoch.

        Args:
            changes: by value.
            public: send the commit in the clear.
            path: with a path, where the implementation has a choice.
            tree_inside: put the tree into the Welcome.
        """

    @abstractmethod
    def encrypt(self, text: bytes) -> bytes:
        """Say something."""

    @abstractmethod
    def learn(self, psk_id: bytes, key: bytes) -> None:
        """Come to know a PSK."""

    @abstractmethod
    def group_info(self) -> bytes:
        """Show the epoch to somebody outside, with the tree inside."""

    @abstractmethod
    def tree(self) -> bytes:
        """Return the bare tree."""

    @abstractmethod
    def view(self) -> View:
        """Return what must be the same for all."""

    @property
    @abstractmethod
    def leaf(self) -> int:
        """Return the own leaf index."""

    @property
    @abstractmethod
    def is_out(self) -> bool:
        """Tell whether a commit has removed this member."""

    @abstractmethod
    def leave(self) -> None:
        """Forget the group."""


class TsMlsPlayer(Player):
    """A member played by ts-mls.

    Args:
        name: the identity.
        suite: cipher suite.
        peer: where it runs; one for all of a test, since it holds the PSKs.
    """

    side = Side.THEIRS
    refusals = (TsMlsRefused,)

    def __init__(self, name: str, suite: int, peer: TsMls) -> None:
        super().__init__(name, suite)
        self._peer = peer
        self._own = peer.call("keypackage", suite=suite, identity=name)
        self._group = ""
        self._info: dict[str, Any] = {}

    def _entered(self, answer: dict[str, Any]) -> None:
        self._group = answer["g"]
        self._info = answer

    def key_package(self) -> bytes:
        """Return the one that this client has."""
        return bytes.fromhex(self._own["message"])

    def create(self, group_id: bytes) -> None:
        """Begin a group."""
        self._entered(self._peer.call("create", kp=self._own["kp"], group_id=group_id))

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        """Enter by a Welcome."""
        beside = {} if tree is None else {"tree": tree}
        own = self._own["kp"]
        self._entered(self._peer.call("join", kp=own, welcome=welcome, **beside))

    def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes:
        """Enter by an external commit."""
        before = self._group
        answer = self._peer.call(
            "external_join", kp=self._own["kp"], group_info=group_info, resync=resync
        )
        if before:
            self._peer.call("drop", g=before)
        self._entered(answer)
        return bytes.fromhex(answer["commit"])

    def process(self, message: bytes) -> bytes | None:
        """Take a message."""
        answer = self._peer.call("process", g=self._group, message=message)
        if answer["kind"] == "application":
            return bytes.fromhex(answer["data"])
        self._info = answer
        return None

    def propose(self, change: Change, *, public: bool) -> bytes:
        """Propose a change."""
        answer = self._peer.call(
            "propose", g=self._group, proposal=_for_peer(change), public=public
        )
        return bytes.fromhex(answer["message"])

    def commit(
        self,
        changes: tuple[Change, ...],
        *,
        public: bool,
        path: bool,
        tree_inside: bool,
    ) -> Committed:
        """Commit; ts-mls alone decides about the path: it has one when it must."""
        del path
        answer = self._peer.call(
            "commit",
            g=self._group,
            proposals=[_for_peer(change) for change in changes],
            public=public,
            tree_in_welcome=tree_inside,
        )
        self._info = answer
        welcome = answer["welcome"]
        return Committed(
            bytes.fromhex(answer["commit"]),
            None if welcome is None else bytes.fromhex(welcome),
            None if tree_inside else self.tree(),
        )

    def encrypt(self, text: bytes) -> bytes:
        """Say something."""
        answer = self._peer.call("encrypt", g=self._group, data=text)
        return bytes.fromhex(answer["message"])

    def learn(self, psk_id: bytes, key: bytes) -> None:
        """Come to know a PSK, as do all others that ts-mls plays."""
        self._peer.call("psk", psk_id=psk_id, secret=key)

    def group_info(self) -> bytes:
        """Show the epoch."""
        return bytes.fromhex(self._peer.call("group_info", g=self._group)["message"])

    def tree(self) -> bytes:
        """Return the bare tree."""
        return bytes.fromhex(self._peer.call("tree", g=self._group)["tree"])

    def view(self) -> View:
        """Return what must be the same for all."""
        exported = self._peer.call(
            "export",
            g=self._group,
            label=EXPORT_LABEL,
            context=EXPORT_CONTEXT,
            length=EXPORT_OCTETS,
        )
        return View(
            epoch=self._info["epoch"],
            epoch_authenticator=bytes.fromhex(self._info["epoch_authenticator"]),
            tree_hash=bytes.fromhex(self._info["tree_hash"]),
            transcript_hash=bytes.fromhex(self._info["confirmed_transcript_hash"]),
            exported=bytes.fromhex(exported["secret"]),
            members=tuple(
                (member["leaf"], bytes.fromhex(member["identity"]))
                for member in self._info["members"]
            ),
        )

    @property
    def leaf(self) -> int:
        """Return the own leaf index."""
        return int(self._info["own_leaf"])

    @property
    def is_out(self) -> bool:
        """Tell whether a commit has removed this member."""
        return bool(self._info["status"] == "removedFromGroup")

    def leave(self) -> None:
        """Forget the group."""
        self._peer.call("drop", g=self._group)


def _for_peer(change: Change) -> dict[str, object]:
    match change:
        case Add(key_package):
            return {"type": "add", "key_package": key_package.hex()}
        case Remove(leaf):
            return {"type": "remove", "leaf": leaf}
        case Update():
            return {"type": "update"}
        case Psk(psk_id):
            return {"type": "psk", "psk_id": psk_id.hex()}
