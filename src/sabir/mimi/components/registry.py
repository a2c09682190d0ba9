"""What MLS asks about a room's components: which updates of a commit they accept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sabir.mimi.codepoints import ComponentId
from sabir.mimi.components.asset_policy import decode_asset_policy
from sabir.mimi.components.base_policy import decode_base_room_policy
from sabir.mimi.components.expiration import decode_message_expiration
from sabir.mimi.components.metadata import decode_room_metadata
from sabir.mimi.components.participants import (
    apply_updates,
    decode_participant_list,
    decode_participant_list_update,
)
from sabir.mimi.components.roles import decode_role_data
from sabir.mimi.components.status_policy import decode_status_policy
from sabir.mls.components import CommitContext, Component, ComponentRefused
from sabir.wire.errors import Malformed


class _NoEphemeral:
    """Nothing of a room travels as AppEphemeral in phase 1."""

    __slots__ = ()

    def ephemeral(self, data: bytes, commit: CommitContext) -> None:
        """Refuse.

        Raises:
            ComponentRefused: always.
        """
        del data, commit
        raise ComponentRefused("nothing here is ephemeral")


class ParticipantComponent(_NoEphemeral):
    """The participant list: updates add up (D-35)."""

    __slots__ = ()

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        """Return the list after all updates. Raises ComponentRefused."""
        del commit
        if old is None:
            raise ComponentRefused("there is no participant list")
        try:
            current = decode_participant_list(old)
            read = [decode_participant_list_update(update) for update in updates]
            return apply_updates(current, read).encode()
        except Malformed as wrong:
            raise ComponentRefused(str(wrong)) from None


@dataclass(frozen=True, slots=True)
class ReplacedComponent(_NoEphemeral):
    """A component whose update is its new value, once in a commit.

    Attributes:
        check: reads the value; None keeps octets that we do not read (phase 2).
    """

    check: Callable[[bytes], object] | None = None

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        """Return the only update. Raises ComponentRefused."""
        del old, commit
        if len(updates) > 1:
            raise ComponentRefused(f"{len(updates)} updates in one commit")
        if self.check is not None:
            try:
                self.check(updates[0])
            except Malformed as wrong:
                raise ComponentRefused(str(wrong)) from None
        return updates[0]


class MetadataComponent(_NoEphemeral):
    """The metadata: replaced, but for the room that they name."""

    __slots__ = ()

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        """Return the only update. Raises ComponentRefused."""
        new = ReplacedComponent(decode_room_metadata).apply(old, updates, commit)
        if old is None:
            raise ComponentRefused("there are no metadata")
        if decode_room_metadata(old).room_uri != decode_room_metadata(new).room_uri:
            raise ComponentRefused("the room's identifier never changes")
        return new


class FixedComponent(_NoEphemeral):
    """A component that is what it was when the room began."""

    __slots__ = ()

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        """Refuse.

        Raises:
            ComponentRefused: always.
        """
        del old, updates, commit
        raise ComponentRefused("this never changes")


_OPAQUE: Final = ReplacedComponent()

ROOM_COMPONENTS: Final[Mapping[int, Component]] = MappingProxyType(
    {
        ComponentId.APP_COMPONENTS: FixedComponent(),
        ComponentId.SAFE_AAD: FixedComponent(),
        ComponentId.CONTENT_MEDIA_TYPES: FixedComponent(),
        ComponentId.FRANKING_AGENT: FixedComponent(),
        ComponentId.PARTICIPANT_LIST: ParticipantComponent(),
        ComponentId.ROOM_METADATA: MetadataComponent(),
        ComponentId.MLS_OPERATIONAL_POLICY: _OPAQUE,
        ComponentId.ROLES_LIST: ReplacedComponent(decode_role_data),
        ComponentId.PREAUTH_LIST: _OPAQUE,
        ComponentId.BASE_ROOM_POLICY: ReplacedComponent(decode_base_room_policy),
        ComponentId.STATUS_NOTIFICATION_POLICY: ReplacedComponent(decode_status_policy),
        ComponentId.JOIN_LINK_POLICY: _OPAQUE,
        ComponentId.LINK_PREVIEW_POLICY: _OPAQUE,
        ComponentId.ASSET_POLICY: ReplacedComponent(decode_asset_policy),
        ComponentId.LOGGING_POLICY: _OPAQUE,
        ComponentId.CHAT_HISTORY_POLICY: _OPAQUE,
        ComponentId.BOT_POLICY: _OPAQUE,
        ComponentId.MESSAGE_EXPIRATION_POLICY: ReplacedComponent(
            decode_message_expiration
        ),
    }
)
"""All that an AppDataUpdate may name; anything else is a component we do not know."""
