"""Somebody joins, speaks, takes another name, and leaves, on each side."""

import time
from typing import Final
from xml.etree.ElementTree import Element

from sabir.testing.clients.matrix import Seen
from sabir.testing.demo.stage import Stage
from sabir.testing.demo.step import Step, Way, same
from sabir.testing.demo.words_to_matrix import is_message

_MUC_USER: Final = "http://jabber.org/protocol/muc#user"
_NICK_CHANGED: Final = "303"


def nick_of(presence: Element) -> str:
    """Return the nick in a room that a presence is about."""
    return presence.get("from", "").partition("/")[2]


def new_nick(presence: Element) -> str:
    """Return the nick that somebody changes to (XEP-0045 §7.6), else nothing."""
    path = f"{{{_MUC_USER}}}x/{{{_MUC_USER}}}"
    codes = {status.get("code") for status in presence.findall(f"{path}status")}
    item = presence.find(f"{path}item")
    return item.get("nick", "") if item is not None and _NICK_CHANGED in codes else ""


def _member(seen: Seen) -> bool:
    is_ours = seen.kind == "timeline" and seen.type == "m.room.member"
    return is_ours and seen.content.get("membership") in {"join", "leave"}


# ---- a Matrix person, seen on XMPP


async def _carol_joins(stage: Stage) -> float:
    await stage.alice.invite(stage.matrix_room, stage.carol.user_id)
    sent_s = time.monotonic()
    await stage.carol.join(stage.matrix_room)
    presence = await stage.xmpp_sees_presence(lambda seen: nick_of(seen) == "Carol")
    seen_s = time.monotonic()
    same("presence type", presence.get("type"), None)
    jid = stage.xenia.occupants(stage.xmpp_room).get("Carol", "")
    same("domain of her address", jid.partition("@")[2], stage.component_resource)
    return seen_s - sent_s


async def _carol_speaks(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.carol.send_text(stage.matrix_room, "Carol here. Hello, all!")
    heard = await stage.xmpp_sees(lambda message: message.body is not None)
    same("nick", heard.nick, "Carol")
    same("body", heard.body, "Carol here. Hello, all!")
    return heard.arrived_s - sent_s


async def _carol_renamed(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.carol.set_display_name("Caroline")
    presence = await stage.xmpp_sees_presence(
        lambda seen: nick_of(seen) in {"Carol", "Caroline"}
    )
    seen_s = time.monotonic()
    same("old nick", nick_of(presence), "Carol")
    same("new nick (XEP-0045, 303)", new_nick(presence), "Caroline")
    return seen_s - sent_s


async def _carol_leaves(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.carol.leave(stage.matrix_room)
    presence = await stage.xmpp_sees_presence(lambda seen: nick_of(seen) == "Caroline")
    seen_s = time.monotonic()
    same("presence type", presence.get("type"), "unavailable")
    same("a change of nick", new_nick(presence), "")
    return seen_s - sent_s


# ---- an XMPP person, seen on Matrix


async def _zoe_joins(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.zoe.join(stage.xmpp_room, "Zoe")
    seen = await stage.matrix_sees(_member)
    same("membership", seen.content.get("membership"), "join")
    same("displayname", seen.content.get("displayname"), "Zoe")
    same("state key", seen.event.get("state_key"), await stage.ghost("Zoe"))
    return seen.arrived_s - sent_s


async def _zoe_speaks(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.zoe.say(stage.xmpp_room, "Zoe here. Hello, all!")
    heard = await stage.matrix_sees(is_message)
    same("sender", heard.sender, await stage.ghost("Zoe"))
    same("body", heard.body, "Zoe here. Hello, all!")
    return heard.arrived_s - sent_s


async def _zoe_renamed(stage: Stage) -> float:
    ghost = await stage.ghost("Zoe")
    sent_s = time.monotonic()
    await stage.zoe.change_nick(stage.xmpp_room, "Zoey")
    seen = await stage.matrix_sees(_member)
    same("membership", seen.content.get("membership"), "join")
    same("displayname", seen.content.get("displayname"), "Zoey")
    same("state key", seen.event.get("state_key"), ghost)
    return seen.arrived_s - sent_s


async def _zoe_leaves(stage: Stage) -> float:
    ghost = await stage.ghost("Zoey")
    sent_s = time.monotonic()
    await stage.zoe.leave(stage.xmpp_room)
    seen = await stage.matrix_sees(_member)
    same("membership", seen.content.get("membership"), "leave")
    same("state key", seen.event.get("state_key"), ghost)
    same("sender", seen.sender, ghost)
    return seen.arrived_s - sent_s


MATRIX_PERSON: Final = (
    Step(
        way=Way.TO_XMPP,
        name="join",
        natively="presence of Carol's ghost in the room",
        play=_carol_joins,
    ),
    Step(
        way=Way.TO_XMPP,
        name="text of the newcomer",
        natively="the same body from Carol",
        play=_carol_speaks,
    ),
    Step(
        way=Way.TO_XMPP,
        name="rename",
        natively="XEP-0045 change of nick (303) to Caroline",
        play=_carol_renamed,
    ),
    Step(
        way=Way.TO_XMPP,
        name="leave",
        natively="unavailable presence of Caroline",
        play=_carol_leaves,
    ),
)
XMPP_PERSON: Final = (
    Step(
        way=Way.TO_MATRIX,
        name="join",
        natively="m.room.member join of Zoe's ghost",
        play=_zoe_joins,
    ),
    Step(
        way=Way.TO_MATRIX,
        name="text of the newcomer",
        natively="m.text from Zoe's ghost",
        play=_zoe_speaks,
    ),
    Step(
        way=Way.TO_MATRIX,
        name="rename",
        natively="m.room.member with the display name Zoey",
        play=_zoe_renamed,
    ),
    Step(
        way=Way.TO_MATRIX,
        name="leave",
        natively="m.room.member leave of Zoey's ghost",
        play=_zoe_leaves,
    ),
)
