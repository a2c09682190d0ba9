"""Ada, who has no other network than an agent: she reads all, and all read her."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from sabir.testing.clients.matrix import Seen
from sabir.testing.clients.stanza import Arrived
from sabir.testing.demo import samples
from sabir.testing.demo.stage import Line, Stage
from sabir.testing.demo.step import Step, Way, Wrong, same
from sabir.testing.demo.words_to_matrix import is_message
from sabir.testing.lab import PREFIX
from sabir.testing.town.person import Row

NAME: Final = "ada"
CAKE: Final = "🍰"
_FILE: Final = "recipe.png"
_OF_XMPP: Final = f"@{PREFIX}xmpp"
"""How the ghosts of XMPP people begin on Matrix."""
_OF_MATRIX: Final = frozenset({"Alice", "Bob"})


def _says(text: str) -> Callable[[Row], bool]:
    return lambda row: row["text"] == text


async def _both(
    stage: Stage,
    on_matrix: Callable[[Seen], bool],
    on_xmpp: Callable[[Arrived], bool],
) -> tuple[Seen, Arrived]:
    """Return what Alice's and Xenia's clients see of something that Ada did.

    What others said before may still be on its way to them: Ada had it earlier.
    """
    seen, heard = await asyncio.gather(
        stage.matrix_sees(
            lambda seen: not seen.sender.startswith(_OF_XMPP) and on_matrix(seen)
        ),
        stage.xmpp_sees(
            lambda heard: heard.nick not in _OF_MATRIX and on_xmpp(heard),
        ),
    )
    same("sender on Matrix", seen.sender, await stage.ghost(NAME))
    same("nick on XMPP", heard.nick, NAME)
    return seen, heard


def _has_body(heard: Arrived) -> bool:
    return heard.body is not None


# ---- what Ada reads


async def _reads_matrix(stage: Stage) -> float:
    sent_s = time.monotonic()
    body = "Ada, can you read this?"
    await stage.alice.send_text(stage.matrix_room, body)
    row, at_s = await stage.third_sees(_says(body))
    same("author", row["name"], "Alice")
    same("verdict over the hub's frank", row["verdict"], "accountable")
    return at_s - sent_s


async def _reads_xmpp(stage: Stage) -> float:
    sent_s = time.monotonic()
    body = "Ada, and this?"
    await stage.xenia.say(stage.xmpp_room, body)
    row, at_s = await stage.third_sees(_says(body))
    same("author", row["name"], "Xenia")
    return at_s - sent_s


async def _is_answered(stage: Stage) -> float:
    number = await stage.third_number("I read you both.")
    sent_s = time.monotonic()
    body = "Welcome, Ada."
    target = stage.line("ada").event_id
    await stage.bob.reply(stage.matrix_room, target, body)
    row, at_s = await stage.third_sees(_says(body))
    same("author", row["name"], "Bob")
    same("answered message", row["about"], number)
    return at_s - sent_s


async def _gets_reaction(stage: Stage) -> float:
    number = await stage.third_number("I read you both.")
    target = stage.line("ada").stanza.stanza_id
    sent_s = time.monotonic()
    await stage.xenia.react(stage.xmpp_room, target, (CAKE,))
    row, at_s = await stage.third_sees(lambda row: row["kind"] == "reacted")
    same("emoji", row["text"], CAKE)
    same("author", row["name"], "Xenia")
    same("message", row["about"], number)
    return at_s - sent_s


async def _gets_file(stage: Stage) -> float:
    octets = samples.image(5)
    sent_s = time.monotonic()
    await stage.alice.send_file(
        stage.matrix_room, octets, media_type="image/png", file_name="scones.png"
    )
    row, _ = await stage.third_sees(lambda row: bool(row["files"]))
    same("files", row["files"], ["scones.png"])
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "scones.png"
        await stage.third.do(
            "save", stage.third_room, about=row["seq"], path=str(saved)
        )
        saved_s = time.monotonic()
        came = saved.read_bytes()
    same("SHA-256", sha256(came).hexdigest(), sha256(octets).hexdigest())
    return saved_s - sent_s


# ---- what Ada says


async def _speaks(stage: Stage) -> float:
    body = "I read you both."
    sent_s = time.monotonic()
    await stage.third.say(stage.third_room, body)
    seen, heard = await _both(stage, is_message, _has_body)
    same("body on Matrix", seen.content.get("body"), body)
    same("body on XMPP", heard.body, body)
    stage.lines["ada"] = Line(seen.event_id, heard)
    return max(seen.arrived_s, heard.arrived_s) - sent_s


async def _answers(stage: Stage) -> float:
    target = stage.line("xenia's emoji")
    about = await stage.third_number(samples.EMOJI, name="Xenia")
    sent_s = time.monotonic()
    body = "A fine family, Xenia."
    await stage.third.say(stage.third_room, body, about=about)
    seen, heard = await _both(stage, is_message, _has_body)
    relation = seen.content.get("m.relates_to", {})
    answered = relation.get("m.in_reply_to", {}).get("event_id")
    same("m.in_reply_to", answered, target.event_id)
    same("reply id (XEP-0461)", heard.replies_to, target.stanza.stanza_id)
    stage.lines["ada's answer"] = Line(seen.event_id, heard)
    return max(seen.arrived_s, heard.arrived_s) - sent_s


async def _edits(stage: Stage) -> float:
    target = stage.line("ada's answer")
    about = await stage.third_number("A fine family, Xenia.")
    sent_s = time.monotonic()
    body = "A very fine family, Xenia."
    await stage.third.do("edit", stage.third_room, text=body, about=about)
    seen, heard = await _both(stage, is_message, _has_body)
    relation = seen.content.get("m.relates_to", {})
    same("replaced event", relation.get("event_id"), target.event_id)
    same("m.new_content", seen.content.get("m.new_content", {}).get("body"), body)
    same("replace id (XEP-0308)", heard.corrects, target.stanza.id)
    return max(seen.arrived_s, heard.arrived_s) - sent_s


async def _reacts(stage: Stage) -> float:
    target = stage.line("yuri")
    about = await stage.third_number("I can read you. Can you read me?")
    sent_s = time.monotonic()
    await stage.third.do("react", stage.third_room, text=CAKE, about=about)
    seen, heard = await _both(
        stage,
        lambda seen: seen.type == "m.reaction",
        lambda message: bool(message.reacts_to),
    )
    relation = seen.content.get("m.relates_to", {})
    same("m.annotation of", relation.get("event_id"), target.event_id)
    same("key", relation.get("key"), CAKE)
    same("reactions id (XEP-0444)", heard.reacts_to, target.stanza.stanza_id)
    same("Ada's reactions", heard.reactions, frozenset({CAKE}))
    return max(seen.arrived_s, heard.arrived_s) - sent_s


async def _sends_file(stage: Stage) -> float:
    octets = samples.image(6)
    sent_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _FILE
        path.write_bytes(octets)
        await stage.third.do("file", stage.third_room, path=str(path))
        seen, heard = await _both(stage, is_message, _has_body)
    came_s = max(seen.arrived_s, heard.arrived_s)
    same("filename on Matrix", seen.content.get("filename"), _FILE)
    if heard.file_url is None:
        raise Wrong(f"no address of a file (XEP-0066) in {heard}")
    expected = sha256(octets).hexdigest()
    on_matrix = await stage.alice.download(str(seen.content.get("url")))
    on_xmpp = await stage.xenia.download(heard.file_url)
    same("SHA-256 on Matrix", sha256(on_matrix).hexdigest(), expected)
    same("SHA-256 on XMPP", sha256(on_xmpp).hexdigest(), expected)
    return came_s - sent_s


async def _deletes(stage: Stage) -> float:
    target = stage.line("ada's answer")
    about = await stage.third_number("A fine family, Xenia.")
    sent_s = time.monotonic()
    await stage.third.do("delete", stage.third_room, about=about)
    seen, heard = await _both(
        stage,
        lambda seen: seen.type == "m.room.redaction",
        lambda message: bool(message.retracts),
    )
    redacted = seen.content.get("redacts") or seen.event.get("redacts")
    same("redacts", redacted, target.event_id)
    same("retract id (XEP-0424)", heard.retracts, target.stanza.stanza_id)
    return max(seen.arrived_s, heard.arrived_s) - sent_s


# ---- over all


async def _has_all_in_order(stage: Stage) -> float:
    """Ada has every line of those that spoke at once, in the order of each side."""
    began_s = time.monotonic()
    rows = await stage.third.timeline(stage.third_room)
    ids = [row["id"] for row in rows]
    same("entries that Ada has twice", len(ids) - len(set(ids)), 0)
    for name in ("Alice", "Xenia"):
        counted = [
            row["text"]
            for row in rows
            if row["name"] == name and row["text"].startswith(f"{name} counts")
        ]
        expected = [f"{name} counts {n}" for n in range(1, len(counted) + 1)]
        same(f"lines of {name}", counted, expected)
        same(f"whether {name} is there", bool(counted), True)
    return time.monotonic() - began_s


async def _knows_who_is_there(stage: Stage) -> float:
    """Ada sees each person of both networks, and by whose word they are there."""
    began_s = time.monotonic()
    shown = await stage.third.shown(stage.third_room)
    there = {
        each["name"]: each["ghost"]
        for each in shown["participants"]
        if each["ghost"] is not None
    }
    for name, network in (("Alice", "matrix"), ("Xenia", "xmpp")):
        ghost = there.get(name, {})
        same(f"network of {name}", ghost.get("network"), network)
        row = next(
            row
            for row in await stage.third.timeline(stage.third_room)
            if row["name"] == name and row["via"] is not None
        )
        same(f"id of {name}", row["via"]["native"], ghost["native"])
        same(f"who vouches for {name}", row["via"]["gateway"], ghost["gateway"])
    return time.monotonic() - began_s


async def _providers_are_blind(stage: Stage) -> float:
    """What people said is in no file of a provider."""
    began_s = time.monotonic()
    rows = await stage.third.timeline(stage.third_room)
    said = {row["text"].encode() for row in rows if len(row["text"]) > 12}
    same("whether there is something to look for", len(said) > 20, True)
    for provider in stage.providers:
        for file in provider.home.rglob("*"):
            if file.is_file():
                octets = file.read_bytes()
                found = [text for text in said if text in octets]
                same(f"texts in {file}", found, [])
    return time.monotonic() - began_s


def _to(name: str, natively: str, play: Callable[[Stage], Awaitable[float]]) -> Step:
    return Step(way=Way.TO_THIRD, name=name, natively=natively, play=play)


def _of(name: str, natively: str, play: Callable[[Stage], Awaitable[float]]) -> Step:
    return Step(way=Way.OF_THIRD, name=name, natively=natively, play=play)


STEPS: Final = (
    _to("text from Matrix", "Alice's text, its frank is right", _reads_matrix),
    _to("text from XMPP", "Xenia's text", _reads_xmpp),
    _of("text", "m.text from Ada's ghost, the same body from her nick", _speaks),
    _to("reply", "Bob's answer, to Ada's message", _is_answered),
    _to("reaction", f"Xenia's {CAKE} on Ada's message", _gets_reaction),
    _of("reply", "m.in_reply_to and XEP-0461 of Xenia's message", _answers),
    _of("edit", "m.replace and XEP-0308 of her answer", _edits),
    _of("deletion", "m.room.redaction and XEP-0424 of her answer", _deletes),
    _of("reaction", f"m.annotation and XEP-0444 {CAKE} on Yuri's message", _reacts),
    _to("1 MB image", "fetched from the hub, opened, same SHA-256", _gets_file),
    _of("1 MB image", "m.image and XEP-0066/0447, same SHA-256", _sends_file),
)
CHECKS: Final = (
    Step(
        way=Way.BOTH,
        name="what Ada has",
        natively="every line of both sides, once, in order",
        play=_has_all_in_order,
    ),
    Step(
        way=Way.BOTH,
        name="who is in the room",
        natively="Alice and Xenia, each with network, id and whose word that is",
        play=_knows_who_is_there,
    ),
    Step(
        way=Way.BOTH,
        name="what providers stored",
        natively="no text of the conversation in any file of theirs",
        play=_providers_are_blind,
    ),
)
