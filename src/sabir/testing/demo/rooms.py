"""The rooms' name and topic, in both directions."""

import time
from typing import Final

from sabir.testing.clients.stanza import Arrived
from sabir.testing.demo.stage import Stage
from sabir.testing.demo.step import Step, Way, same

_MUC_USER: Final = "http://jabber.org/protocol/muc#user"
_CONFIGURED: Final = "104"


def is_configuration(message: Arrived) -> bool:
    """Tell whether a room says that its configuration changed (XEP-0045 §10.2)."""
    path = f"{{{_MUC_USER}}}x/{{{_MUC_USER}}}status"
    return any(code.get("code") == _CONFIGURED for code in message.xml.findall(path))


async def _name_to_xmpp(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.alice.rename_room(stage.matrix_room, "Tea at four")
    heard = await stage.xmpp_sees(is_configuration)
    same("name", await stage.xenia.room_name(stage.xmpp_room), "Tea at four")
    return heard.arrived_s - sent_s


async def _name_to_matrix(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.xenia.rename_room(stage.xmpp_room, "Tea at five")
    seen = await stage.matrix_sees(lambda seen: seen.type == "m.room.name")
    same("name", seen.content.get("name"), "Tea at five")
    return seen.arrived_s - sent_s


async def _topic_to_xmpp(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.alice.set_topic(stage.matrix_room, "Scones or crumpets?")
    heard = await stage.xmpp_sees(lambda message: message.subject is not None)
    same("subject", heard.subject, "Scones or crumpets?")
    return heard.arrived_s - sent_s


async def _topic_to_matrix(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.xenia.set_subject(stage.xmpp_room, "Both.")
    seen = await stage.matrix_sees(lambda seen: seen.type == "m.room.topic")
    same("topic", seen.content.get("topic"), "Both.")
    return seen.arrived_s - sent_s


STEPS: Final = (
    Step(
        way=Way.TO_XMPP,
        name="room name",
        natively="configuration change (104), the name in disco#info",
        play=_name_to_xmpp,
    ),
    Step(
        way=Way.TO_MATRIX,
        name="room name",
        natively="m.room.name",
        play=_name_to_matrix,
    ),
    Step(
        way=Way.TO_XMPP,
        name="room topic",
        natively="the room's subject",
        play=_topic_to_xmpp,
    ),
    Step(
        way=Way.TO_MATRIX,
        name="room topic",
        natively="m.room.topic",
        play=_topic_to_matrix,
    ),
)
