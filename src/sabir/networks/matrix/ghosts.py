"""Ghosts: Matrix users in our namespace, one for every speaker of other networks.

What was done for a ghost is remembered (in memory and by the host), so that a
message of a known ghost costs one request.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Final

from sabir.networks.api import Host, Speaker
from sabir.networks.matrix.client import Client, Voice
from sabir.networks.matrix.config import AppServiceConfig
from sabir.networks.matrix.text import one_line

DEVICE_ID: Final = "SABIR"
"""Every ghost has one device of this name: sends are remembered per device."""
USER_ID_OCTETS_MAX: Final = 255
LOCALPART_OCTETS_MAX: Final = 200
"""Longer ones are hashed, as are those that make the id too long."""
NAME_CHARACTERS_MAX: Final = 256
"""Of 1,000 that Synapse takes; longer names help nobody."""
GHOSTS_IN_MEMORY_MAX: Final = 20_000
"""About 10 MB; a forgotten ghost is recalled from the host."""

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-/+")


def ghost_localpart(uri: str, *, prefix: str, server_name: str) -> str:
    """Return the localpart of a speaker's ghost: the same for the same URI, always.

    Characters outside of the grammar become `=` and two hex digits. `=h` and 32
    hex digits of SHA-256 stand for what would be too long; no escape looks so.
    """
    octets = uri.encode("utf-8", "replace")
    encoded = "".join(chr(o) if o in _PLAIN else f"={o:02x}" for o in octets)
    room = USER_ID_OCTETS_MAX - len(f"@{prefix}:{server_name}".encode())
    if len(encoded) > min(room, LOCALPART_OCTETS_MAX):
        encoded = "=h" + hashlib.sha256(octets).hexdigest()[:32]
    return prefix + encoded


@dataclass(slots=True)
class _Ghost:
    voice: Voice
    name: str


class Ghosts:
    """Makes ghosts ready to speak."""

    def __init__(self, config: AppServiceConfig, client: Client, host: Host) -> None:
        self._config = config
        self._client = client
        self._host = host
        self._known: dict[str, _Ghost] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def user_id(self, uri: str) -> str:
        """Return the ghost's user id."""
        server = self._config.server_name
        local = ghost_localpart(uri, prefix=self._config.prefix, server_name=server)
        return f"@{local}:{server}"

    async def ready(self, speaker: Speaker) -> Voice:
        """Return the ghost's voice, registered, with its device and present name."""
        name = (one_line(speaker.name) or speaker.uri)[:NAME_CHARACTERS_MAX]
        ghost = self._known.get(speaker.uri)
        if ghost is not None and ghost.name == name:
            return ghost.voice
        lock = self._locks.setdefault(speaker.uri, asyncio.Lock())
        try:
            async with lock:
                return await self._prepare(speaker.uri, name)
        finally:
            if not lock.locked():
                self._locks.pop(speaker.uri, None)

    async def _prepare(self, uri: str, name: str) -> Voice:
        ghost = self._known.get(uri) or await self._recall(uri)
        if ghost is None:
            user = self.user_id(uri)
            await self._client.register(user[1:].split(":", 1)[0])
            # Without masquerading as the device that is only now created.
            await self._client.create_device(
                DEVICE_ID, name="Sabir", voice=Voice.ghost(user)
            )
            ghost = _Ghost(Voice.ghost(user, DEVICE_ID), "")
        if ghost.name != name:
            await self._client.set_profile("displayname", name, voice=ghost.voice)
            ghost.name = name
            await self._host.remember(_fact(ghost.voice.user_id), _stored(uri, name))
        while len(self._known) >= GHOSTS_IN_MEMORY_MAX:
            self._known.pop(next(iter(self._known)))
        self._known[uri] = ghost
        return ghost.voice

    async def _recall(self, uri: str) -> _Ghost | None:
        user = self.user_id(uri)
        stored = await self._host.recall(_fact(user))
        if not stored:
            return None
        return _Ghost(Voice.ghost(user, DEVICE_ID), str(json.loads(stored)["name"]))

    async def forget(self, uri: str) -> None:
        """Start anew with a ghost that the homeserver does not know any more."""
        self._known.pop(uri, None)
        await self._host.remember(_fact(self.user_id(uri)), "")


def _fact(user: str) -> str:
    return f"ghost:{user}"


def _stored(uri: str, name: str) -> str:
    return json.dumps({"uri": uri, "name": name})
