"""What Matrix people say, and how XMPP people see it."""

import time
from collections.abc import Awaitable, Callable

from sabir.testing.clients.matrix import MatrixClient
from sabir.testing.clients.stanza import Arrived
from sabir.testing.demo import samples
from sabir.testing.demo.stage import Line, Stage
from sabir.testing.demo.step import Step, Way, same

Play = Callable[[Stage], Awaitable[float]]

HTML = (
    "<strong>bold</strong>, <em>italic</em>, <del>gone</del>, <code>code</code>"
    ' and <a href="https://example.org/">a link</a>'
    "<ul><li>first</li><li>second</li></ul>"
)
HTML_BODY = "bold, italic, gone, code and a link\n\n- first\n- second"
STYLED = (
    "*bold*, _italic_, ~gone~, `code` and a link (https://example.org/)"
    "\n\n- first\n- second"
)


def _is_message(arrived: Arrived) -> bool:
    return arrived.body is not None


def _text(key: str, nick: str, who: Callable[[Stage], MatrixClient], body: str) -> Play:
    """Say something and keep it under `key`."""

    async def play(stage: Stage) -> float:
        sent_s = time.monotonic()
        event_id = await who(stage).send_text(stage.matrix_room, body)
        heard = await stage.xmpp_sees(_is_message)
        same("body", heard.body, body)
        same("nick", heard.nick, nick)
        same("type", heard.type, "groupchat")
        stage.lines[key] = Line(event_id, heard)
        return heard.arrived_s - sent_s

    return play


async def _formatted(stage: Stage) -> float:
    sent_s = time.monotonic()
    await stage.alice.send_formatted(stage.matrix_room, HTML_BODY, HTML)
    heard = await stage.xmpp_sees(_is_message)
    same("body", heard.body, STYLED)
    return heard.arrived_s - sent_s


async def _reply(stage: Stage) -> float:
    target = stage.line("yuri")
    sent_s = time.monotonic()
    body = "We hear you, Yuri."
    event_id = await stage.bob.reply(stage.matrix_room, target.event_id, body)
    heard = await stage.xmpp_sees(_is_message)
    same("reply id (XEP-0461)", heard.replies_to, target.stanza.stanza_id)
    same("nick", heard.nick, "Bob")
    same("last line of the body", (heard.body or "").splitlines()[-1], body)
    stage.lines["bob's reply"] = Line(event_id, heard)
    return heard.arrived_s - sent_s


async def _edit(stage: Stage) -> float:
    target = stage.line("alice's emoji")  # her last: an older one is not XEP-0308's
    sent_s = time.monotonic()
    body = "A family, a flag and a thumb, corrected!"
    await stage.alice.edit(stage.matrix_room, target.event_id, body)
    heard = await stage.xmpp_sees(_is_message)
    same("replace id (XEP-0308)", heard.corrects, target.stanza.id)
    same("new body", heard.body, body)
    same("nick", heard.nick, "Alice")
    return heard.arrived_s - sent_s


async def _delete(stage: Stage) -> float:
    target = stage.line("bob's slip")
    sent_s = time.monotonic()
    await stage.bob.redact(stage.matrix_room, target.event_id)
    heard = await stage.xmpp_sees(lambda message: bool(message.retracts))
    same("retract id (XEP-0424)", heard.retracts, target.stanza.stanza_id)
    same("nick", heard.nick, "Bob")
    return heard.arrived_s - sent_s


def _react(emoji: str, then: frozenset[str]) -> Play:
    """Add one reaction to Xenia's message; `then` is Alice's full set after it."""

    async def play(stage: Stage) -> float:
        target = stage.line("xenia")
        sent_s = time.monotonic()
        reaction = await stage.alice.react(stage.matrix_room, target.event_id, emoji)
        stage.reactions[emoji] = reaction
        return await _reacted(stage, sent_s, then)

    return play


def _take_back(emoji: str, then: frozenset[str]) -> Play:
    """Remove one reaction again."""

    async def play(stage: Stage) -> float:
        sent_s = time.monotonic()
        await stage.alice.redact(stage.matrix_room, stage.reaction(emoji))
        return await _reacted(stage, sent_s, then)

    return play


async def _reacted(stage: Stage, sent_s: float, then: frozenset[str]) -> float:
    target = stage.line("xenia").stanza.stanza_id
    heard = await stage.xmpp_sees(lambda message: bool(message.reacts_to))
    same("reactions id (XEP-0444)", heard.reacts_to, target)
    same("Alice's reactions", heard.reactions, then)
    same("nick", heard.nick, "Alice")
    return heard.arrived_s - sent_s


def _alice(stage: Stage) -> MatrixClient:
    return stage.alice


def _bob(stage: Stage) -> MatrixClient:
    return stage.bob


def _step(name: str, natively: str, play: Play) -> Step:
    return Step(way=Way.TO_XMPP, name=name, natively=natively, play=play)


FIRST = _step(
    "text", "the same body from Alice", _text("alice", "Alice", _alice, "Good morning!")
)
SECOND = _step(
    "text of a second person",
    "the same body from Bob",
    _text("bob's slip", "Bob", _bob, "Is this on?"),
)
FORMATTED = _step("formatted text", "XEP-0393 styling", _formatted)
LONG = _step(
    "20 kB text",
    "one body of 20 kB, the same octets",
    _text("alice's tale", "Alice", _alice, samples.long_text("Alice")),
)
RIGHT_TO_LEFT = _step(
    "right-to-left text",
    "the same code points",
    _text("bob's greeting", "Bob", _bob, samples.RIGHT_TO_LEFT),
)
EMOJI = _step(
    "emoji joined by ZWJ",
    "the same code points",
    _text("alice's emoji", "Alice", _alice, samples.EMOJI),
)
REPLY = _step("reply", "XEP-0461 with the stanza-id of Yuri's message", _reply)
EDIT = _step("edit", "XEP-0308 with the id of the first version", _edit)
DELETION = _step("deletion", "XEP-0424 with the stanza-id of Bob's message", _delete)
REACTION = _step(
    "reaction", "XEP-0444 on Xenia's message: 👍", _react("👍", frozenset("👍"))
)
SECOND_REACTION = _step(
    "second reaction",
    "XEP-0444 on Xenia's message: 👍 🎉",
    _react("🎉", frozenset("👍🎉")),
)
REACTION_REMOVED = _step(
    "reaction removed",
    "XEP-0444 on Xenia's message: 🎉",
    _take_back("👍", frozenset("🎉")),
)
LAST_REACTION_REMOVED = _step(
    "last reaction removed",
    "XEP-0444 on Xenia's message: none",
    _take_back("🎉", frozenset()),
)
