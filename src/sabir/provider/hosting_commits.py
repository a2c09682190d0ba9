"""What a hub's machine says, as what is written down in one transaction."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from sabir.clock import Instant
from sabir.mimi.hub import outcome as hub
from sabir.mimi.hub.recipients import domains_with_participants
from sabir.mimi.hub.room import HubRoom
from sabir.mimi.structs.submit import Frank
from sabir.provider.rooms import Decision
from sabir.storage.provider.records import (
    EventKind,
    NewMessage,
    OwnEcho,
    RoomCommit,
    RoomPhase,
)

_KINDS: Final[Mapping[hub.EventKind, EventKind]] = MappingProxyType(
    {
        hub.EventKind.MESSAGE: EventKind.MESSAGE,
        hub.EventKind.HANDSHAKE: EventKind.HANDSHAKE,
        hub.EventKind.WELCOME: EventKind.WELCOME,
    }
)


class Answer(Protocol):
    """A struct to answer with."""

    def encode(self) -> bytes:
        """Write it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Which of our own devices an event comes from.

    Attributes:
        device: its client URI.
        frank: what its message got.
    """

    device: str
    frank: Frank | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What concerns our own devices in a request.

    Attributes:
        attached: those that have the room's stream from now on.
        own: who sent the message, if it is one.
    """

    attached: frozenset[str] = frozenset()
    own: Own | None = None


NOBODY: Final = Local()


def decision_of(
    room: HubRoom,
    outcome: hub.Outcome[Any],
    local: Local = NOBODY,
    *,
    refused: Answer | None = None,
) -> Decision:
    """Return what a room's machine said, for who writes it down.

    Args:
        room: the machine.
        outcome: what it said.
        local: about our own devices.
        refused: the answer if the store knows better.
    """
    answer: Answer = outcome.response
    change = outcome.change
    if change is None:
        return Decision(response=answer.encode())
    return Decision(
        response=answer.encode(),
        commit=commit_of(room.uri, change, outcome.fanout, local),
        apply=lambda: room.apply(change),
        refused=None if refused is None else refused.encode(),
    )


def commit_of(
    room: str,
    change: hub.RoomChange,
    fanout: tuple[hub.FanoutEvent, ...] = (),
    local: Local = NOBODY,
) -> RoomCommit:
    """Return all that a change means for the store.

    Args:
        room: its URI.
        change: of the room.
        fanout: what is sent.
        local: about our own devices.
    """
    return RoomCommit(
        room=room,
        state=change.state,
        last_at=Instant(change.last_at),
        phase=_phase(change),
        domains=_present(change),
        messages=tuple(_message(event, local) for event in fanout),
        spent_codes=change.spent_codes,
        pair=change.pair,
        attached=local.attached,
        detached_users=change.detached_users,
        reopened=change.reopened,
    )


def _phase(change: hub.RoomChange) -> RoomPhase | None:
    if change.closes:
        return RoomPhase.CLOSED
    return RoomPhase.OPEN if change.before is None else None


def _present(change: hub.RoomChange) -> frozenset[str] | None:
    """Return who has, or had until now, somebody in the room: they may report."""
    if change.domains is None or change.before is None:
        return change.domains
    return change.domains | domains_with_participants(change.before.effective.view)


def _message(event: hub.FanoutEvent, local: Local) -> NewMessage:
    own = None
    if local.own is not None and event.kind is hub.EventKind.MESSAGE:
        own = _echo(local.own, event.digest)
    return NewMessage(
        accepted_at=Instant(event.accepted_at),
        digest=event.digest,
        kind=_KINDS[event.kind],
        octets=event.octets,
        followers=event.domains,
        only_devices=event.devices,
        withheld_users=event.withheld_users,
        own=own,
    )


def _echo(own: Own, digest: bytes) -> OwnEcho:
    """Return the place of an own message: who sent it could not read it (8.3)."""
    frank = None if own.frank is None else _text(own.frank.encode())
    data = json.dumps({"sha256": _text(digest), "frank": frank})
    return OwnEcho(device=own.device, data=data.encode("ascii"))


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
