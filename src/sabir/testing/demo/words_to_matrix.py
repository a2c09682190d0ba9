"""What XMPP people say, and how Matrix people see it."""

import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from sabir.testing.clients.matrix import Seen
from sabir.testing.clients.xmpp import XmppClient
from sabir.testing.demo import samples
from sabir.testing.demo.stage import Line, Stage
from sabir.testing.demo.step import Step, Way, same

Play = Callable[[Stage], Awaitable[float]]

STYLED = "*bold*, _italic_, ~gone~ and `code`"
PLAIN = "bold, italic, gone and code"
HTML = "<strong>bold</strong>, <em>italic</em>, <del>gone</del> and <code>code</code>"


def is_message(seen: Seen) -> bool:
    """Tell a message from other events."""
    return seen.kind == "timeline" and seen.type == "m.room.message"


def _text(key: str, name: str, who: Callable[[Stage], XmppClient], body: str) -> Play:
    """Say something and keep it under `key`."""

    async def play(stage: Stage) -> float:
        sent_s = time.monotonic()
        said = await who(stage).say(stage.xmpp_room, body)
        heard = await stage.matrix_sees(is_message)
        same("body", heard.body, body)
        same("msgtype", heard.content.get("msgtype"), "m.text")
        same("sender", heard.sender, await stage.ghost(name))
        stage.lines[key] = Line(heard.event_id, said)
        return heard.arrived_s - sent_s

    return play


async def _formatted(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.xenia.say(stage.xmpp_room, STYLED)
    heard = await stage.matrix_sees(is_message)
    same("format", heard.content.get("format"), "org.matrix.custom.html")
    same("formatted_body", heard.content.get("formatted_body"), HTML)
    return heard.arrived_s - sent_s


async def _reply(stage: Stage) -> float:
    target = stage.line("bob's greeting")
    sent_s = time.monotonic()
    body = "Greetings to you too, Bob."
    said = await stage.yuri.reply(stage.xmpp_room, target.stanza, body)
    heard = await stage.matrix_sees(is_message)
    relation = heard.content.get("m.relates_to", {})
    answered = relation.get("m.in_reply_to", {}).get("event_id")
    same("m.in_reply_to", answered, target.event_id)
    same("body without the quotation", heard.body, body)
    stage.lines["yuri's reply"] = Line(heard.event_id, said)
    return heard.arrived_s - sent_s


async def _edit(stage: Stage) -> float:
    target = stage.line("xenia")
    sent_s = time.monotonic()
    body = "Good morning from XMPP, corrected!"
    await stage.xenia.correct(stage.xmpp_room, target.stanza.id, body)
    heard = await stage.matrix_sees(is_message)
    relation = heard.content.get("m.relates_to", {})
    same("rel_type", relation.get("rel_type"), "m.replace")
    same("replaced event", relation.get("event_id"), target.event_id)
    same("m.new_content", heard.content.get("m.new_content", {}).get("body"), body)
    same("sender", heard.sender, await stage.ghost("Xenia"))
    return heard.arrived_s - sent_s


async def _delete(stage: Stage) -> float:
    target = stage.line("yuri's reply")
    sent_s = time.monotonic()
    await stage.yuri.retract(stage.xmpp_room, target.stanza.stanza_id)
    heard = await stage.matrix_sees(lambda seen: seen.type == "m.room.redaction")
    same("redacts", _redacted(heard), target.event_id)
    same("sender", heard.sender, await stage.ghost("Yuri"))
    room, event = quote(stage.matrix_room, safe=""), quote(target.event_id, safe="")
    left = await stage.alice.call(
        "GET", f"/_matrix/client/v3/rooms/{room}/event/{event}"
    )
    same("content of the deleted event", left["content"], {})
    return heard.arrived_s - sent_s


def _redacted(seen: Seen) -> object:
    return seen.content.get("redacts") or seen.event.get("redacts")


def _react(emoji: tuple[str, ...], added: str) -> Play:
    """Set Xenia's reactions to Alice's message, one more than before."""

    async def play(stage: Stage) -> float:
        target = stage.line("alice")
        sent_s = time.monotonic()
        await stage.xenia.react(stage.xmpp_room, target.stanza.stanza_id, emoji)
        heard = await stage.matrix_sees(lambda seen: seen.type == "m.reaction")
        expected = {
            "rel_type": "m.annotation",
            "event_id": target.event_id,
            "key": added,
        }
        same("m.relates_to", heard.content.get("m.relates_to"), expected)
        same("sender", heard.sender, await stage.ghost("Xenia"))
        stage.reactions[f"xenia {added}"] = heard.event_id
        return heard.arrived_s - sent_s

    return play


def _take_back(emoji: tuple[str, ...], removed: str) -> Play:
    """Set Xenia's reactions to Alice's message, one fewer than before."""

    async def play(stage: Stage) -> float:
        target = stage.line("alice")
        sent_s = time.monotonic()
        await stage.xenia.react(stage.xmpp_room, target.stanza.stanza_id, emoji)
        heard = await stage.matrix_sees(lambda seen: seen.type == "m.room.redaction")
        same("redacts", _redacted(heard), stage.reaction(f"xenia {removed}"))
        same("sender", heard.sender, await stage.ghost("Xenia"))
        return heard.arrived_s - sent_s

    return play


def _xenia(stage: Stage) -> XmppClient:
    return stage.xenia


def _yuri(stage: Stage) -> XmppClient:
    return stage.yuri


def _step(name: str, natively: str, play: Play) -> Step:
    return Step(way=Way.TO_MATRIX, name=name, natively=natively, play=play)


FIRST = _step(
    "text",
    "m.text with the same body, from Xenia's ghost",
    _text("xenia", "Xenia", _xenia, "Good morning to you!"),
)
SECOND = _step(
    "text of a second person",
    "m.text with the same body, from Yuri's ghost",
    _text("yuri", "Yuri", _yuri, "I can read you. Can you read me?"),
)
FORMATTED = _step("formatted text", "org.matrix.custom.html", _formatted)
LONG = _step(
    "20 kB text",
    "one event of 20 kB, the same octets",
    _text("xenia's tale", "Xenia", _xenia, samples.long_text("Xenia")),
)
RIGHT_TO_LEFT = _step(
    "right-to-left text",
    "the same code points",
    _text("yuri's greeting", "Yuri", _yuri, samples.RIGHT_TO_LEFT),
)
EMOJI = _step(
    "emoji joined by ZWJ",
    "the same code points",
    _text("xenia's emoji", "Xenia", _xenia, samples.EMOJI),
)
REPLY = _step("reply", "m.in_reply_to Bob's event, no quotation", _reply)
EDIT = _step("edit", "m.replace of the first version", _edit)
DELETION = _step("deletion", "m.room.redaction of Yuri's event", _delete)
REACTION = _step("reaction", "m.annotation 👍 on Alice's event", _react(("👍",), "👍"))
SECOND_REACTION = _step(
    "second reaction", "m.annotation ❤️ on Alice's event", _react(("👍", "❤️"), "❤️")
)
REACTION_REMOVED = _step(
    "reaction removed", "m.room.redaction of 👍", _take_back(("❤️",), "👍")
)
LAST_REACTION_REMOVED = _step(
    "last reaction removed", "m.room.redaction of ❤️", _take_back((), "❤️")
)
