"""Events by the server's Socket.IO: Engine.IO 4 over one WebSocket, listening only.

Packets are texts with a digit in front: `0` opens, `2` asks whether we live, `3` says
so, `4` is of Socket.IO: `40` connects, `41` ends, `42` is an event as `[name, data]`.
"""

import json
from typing import Final

import aiohttp

from sabir.errors import CredentialsRefused, PeerMisbehaved, Unavailable
from sabir.networks.imessage.client import BlueBubbles
from sabir.networks.imessage.listener import OnEvent

PATIENCE_S: Final = 200.0
"""The server asks every 60 s and has 120 s of patience itself."""

HELLO: Final = "hello-world"
_OPEN, _CLOSE, _PING, _PONG = "0", "1", "2", "3"
_CONNECT, _DISCONNECT, _EVENT, _REFUSED = "40", "41", "42", "44"


async def follow(api: BlueBubbles, on_event: OnEvent) -> None:
    """Hand on events until cancelled.

    Raises:
        CredentialsRefused: the server ends the connection at its beginning, as it
            does with a wrong password.
        Unavailable: no connection, or it broke.
        PeerMisbehaved: IMESSAGE-010, not Socket.IO.
    """
    async with api.socket() as socket:
        is_connected = False
        while True:
            message = await socket.receive(timeout=PATIENCE_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise Unavailable("the Mac ended the connection for events")
            packet: str = message.data
            if packet.startswith(_EVENT):
                on_event(*_event(packet))
            elif packet.startswith(_CONNECT):
                is_connected = True
                on_event(HELLO, None)  # what came before is looked for
            elif packet.startswith(_OPEN):
                await socket.send_str(_CONNECT)
            elif packet == _PING:
                await socket.send_str(_PONG)
            elif packet.startswith((_DISCONNECT, _REFUSED)) and not is_connected:
                raise CredentialsRefused(_REFUSED_TEXT)
            elif packet.startswith((_DISCONNECT, _CLOSE, _REFUSED)):
                raise Unavailable("the Mac ended the connection for events")


_REFUSED_TEXT: Final = (
    "BlueBubbles does not accept the password for its events; look it up in its"
    " settings on the Mac and add the account again"
)


def _event(packet: str) -> tuple[object, object]:
    try:
        body = json.loads(packet.removeprefix(_EVENT))
    except (ValueError, RecursionError):
        raise PeerMisbehaved("IMESSAGE-010", "an event that is no JSON") from None
    if not isinstance(body, list) or not body:
        raise PeerMisbehaved("IMESSAGE-010", "an event without a name")
    return body[0], body[1] if len(body) > 1 else None
