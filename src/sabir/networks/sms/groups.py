"""Long messages on their way: the parts that are here. Pure.

A fixed number of slots, each on disk by itself. After a day what is there is handed on
with a line for each missing part; a part that comes later still completes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sabir.clock import Instant
from sabir.networks.api import ChatId
from sabir.networks.sms.udh import Concatenation

SLOTS_MAX: Final = 64
"""Messages on their way at once; one more and the oldest is handed on as it is."""
WAIT_MS: Final = 24 * 3_600_000
KEEP_MS: Final = 7 * 24 * 3_600_000
"""How long a late part is still recognised: SMSCs keep messages for up to a week."""

Name = tuple[str, str, int, int, bool]
"""Source, destination, reference, total, width of the reference."""


@dataclass(slots=True, kw_only=True)
class Group:
    """The parts of one message."""

    slot: int
    name: Name
    chat: ChatId
    at: int
    """When its first part came."""
    parts: dict[int, bytes] = field(default_factory=dict)
    """PDUs by part number."""
    handed_on: str = ""
    """Native id of the entry that was made of it before it was complete."""

    @property
    def pdus(self) -> tuple[bytes | None, ...]:
        """Return all parts in order; None where one is missing."""
        return tuple(self.parts.get(at) for at in range(1, self.name[3] + 1))

    @property
    def is_complete(self) -> bool:
        """Tell whether no part is missing."""
        return len(self.parts) == self.name[3]


class Groups:
    """All messages on their way, and which slots are not on disk as they are here."""

    def __init__(self) -> None:
        self._slots: dict[int, Group] = {}
        self._dirty: set[int] = set()

    def add(
        self,
        octets: bytes,
        part: Concatenation,
        *,
        chat: ChatId,
        between: tuple[str, str],
        now: Instant,
    ) -> list[Group]:
        """Take a part; return the groups that are to be handed on now.

        That is this one, once it is complete; and one that must make room, because its
        reference is used again or all slots are full. A part that is here is ignored.
        """
        name: Name = (*between, part.reference, part.total, part.wide)
        done: list[Group] = []
        group = next((g for g in self._slots.values() if g.name == name), None)
        if group is not None and part.number in group.parts:
            if group.parts[part.number][16:] == octets[16:]:
                return []
            done += self._leave(group)
            group = None
        if group is None:
            if len(self._slots) >= SLOTS_MAX:
                done += self._leave(min(self._slots.values(), key=lambda g: g.at))
            free = next(n for n in range(SLOTS_MAX) if n not in self._slots)
            group = Group(slot=free, name=name, chat=chat, at=now)
            self._slots[free] = group
        group.parts[part.number] = octets
        self._dirty.add(group.slot)
        if group.is_complete:
            self._free(group)
            done.append(group)
        return done

    def due(self, now: Instant) -> list[Group]:
        """Return the groups that have waited for a day; forget those of a week."""
        waited: list[Group] = []
        for group in list(self._slots.values()):
            if now - group.at >= KEEP_MS and group.handed_on:
                self._free(group)
            elif now - group.at >= WAIT_MS and not group.handed_on:
                waited.append(group)
        return waited

    def hand_on(self, group: Group, native_id: str) -> None:
        """Note as what a group was handed on although parts are missing."""
        group.handed_on = native_id
        self._dirty.add(group.slot)

    def _leave(self, group: Group) -> list[Group]:
        self._free(group)
        return [] if group.handed_on else [group]

    def _free(self, group: Group) -> None:
        del self._slots[group.slot]
        self._dirty.add(group.slot)

    # ---- on disk

    def changed(self) -> dict[str, str]:
        """Return what must be written, once."""
        slots, self._dirty = self._dirty, set()
        return {f"group.{slot}": self._dump(slot) for slot in slots}

    def again(self, names: Mapping[str, str]) -> None:
        """Take names back that were not written."""
        self._dirty |= {
            int(name.removeprefix("group."))
            for name in names
            if name.startswith("group.")
        }

    def _dump(self, slot: int) -> str:
        group = self._slots.get(slot)
        if group is None:
            return ""
        parts = {number: octets.hex() for number, octets in group.parts.items()}
        fields = [list(group.name), group.chat, group.at, parts, group.handed_on]
        return json.dumps(fields)

    @classmethod
    def load(cls, slots: Mapping[int, str]) -> "Groups":
        """Return what was written under `group.0` and so on."""
        groups = cls()
        for slot, text in slots.items():
            name, chat, at, parts, handed_on = json.loads(text)
            source, destination, reference, total, wide = name
            groups._slots[slot] = Group(
                slot=slot,
                name=(source, destination, reference, total, wide),
                chat=chat,
                at=at,
                parts={int(n): bytes.fromhex(octets) for n, octets in parts.items()},
                handed_on=handed_on,
            )
        return groups
