"""Typing and receipts in both directions."""

import time

from sabir.testing.clients.matrix import Seen
from sabir.testing.demo.stage import Stage, is_ghost
from sabir.testing.demo.step import Step, Way, same


async def _typing_to_xmpp(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.bob.typing(stage.matrix_room, active=True)
    heard = await stage.xmpp_sees(lambda message: message.chat_state != "")
    same("chat state (XEP-0085)", heard.chat_state, "composing")
    same("nick", heard.nick, "Bob")
    return heard.arrived_s - sent_s


async def _stopped_to_xmpp(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.bob.typing(stage.matrix_room, active=False)
    heard = await stage.xmpp_sees(lambda message: message.chat_state != "")
    same("chat state (XEP-0085)", heard.chat_state, "paused")
    same("nick", heard.nick, "Bob")
    return heard.arrived_s - sent_s


def _ghost_is_typing(seen: Seen) -> bool:
    users = seen.content.get("user_ids", [])
    return seen.type == "m.typing" and any(is_ghost(user) for user in users)


async def _typing_to_matrix(stage: Stage) -> float:
    sent_s = time.monotonic()
    stage.yuri.set_chat_state(stage.xmpp_room, "composing")
    seen = await stage.matrix_sees(_ghost_is_typing)
    same("who is typing", seen.content.get("user_ids"), [await stage.ghost("Yuri")])
    return seen.arrived_s - sent_s


async def _stopped_to_matrix(stage: Stage) -> float:
    sent_s = time.monotonic()
    stage.yuri.set_chat_state(stage.xmpp_room, "paused")
    seen = await stage.matrix_sees(lambda seen: seen.type == "m.typing")
    same("who is typing", seen.content.get("user_ids"), [])
    return seen.arrived_s - sent_s


async def _receipt_to_xmpp(stage: Stage) -> float:
    line = stage.line("xenia's emoji")
    sent_s = time.monotonic()
    await stage.alice.mark_read(stage.matrix_room, line.event_id)
    heard = await stage.xmpp_sees(lambda message: message.displayed != "")
    same("displayed id (XEP-0333)", heard.displayed, line.stanza.stanza_id)
    same("nick", heard.nick, "Alice")
    return heard.arrived_s - sent_s


async def _receipt_to_matrix(stage: Stage) -> float:
    line = stage.line("alice's emoji")
    sent_s = time.monotonic()
    stage.xenia.mark_displayed(stage.xmpp_room, line.stanza.stanza_id)
    ghost = await stage.ghost("Xenia")
    seen = await stage.matrix_sees(
        lambda seen: (
            seen.type == "m.receipt"
            and any(ghost in kinds.get("m.read", {}) for kinds in seen.content.values())
        )
    )
    same("event that was read", list(seen.content), [line.event_id])
    return seen.arrived_s - sent_s


TYPING_TO_XMPP = Step(
    way=Way.TO_XMPP,
    name="typing",
    natively="XEP-0085 composing from Bob",
    play=_typing_to_xmpp,
)
STOPPED_TO_XMPP = Step(
    way=Way.TO_XMPP,
    name="typing ends",
    natively="XEP-0085 paused from Bob",
    play=_stopped_to_xmpp,
)
TYPING_TO_MATRIX = Step(
    way=Way.TO_MATRIX,
    name="typing",
    natively="m.typing with Yuri's ghost",
    play=_typing_to_matrix,
)
STOPPED_TO_MATRIX = Step(
    way=Way.TO_MATRIX,
    name="typing ends",
    natively="m.typing without Yuri's ghost",
    play=_stopped_to_matrix,
)
RECEIPT_TO_XMPP = Step(
    way=Way.TO_XMPP,
    name="receipt",
    natively="XEP-0333 with the stanza-id of Xenia's message",
    play=_receipt_to_xmpp,
)
RECEIPT_TO_MATRIX = Step(
    way=Way.TO_MATRIX,
    name="receipt",
    natively="m.receipt of Alice's event by Xenia's ghost",
    play=_receipt_to_matrix,
)
