"""Golden renderings: for each rule a message, as Matrix and XMPP get it.

A changed file means that the same message is shown in another way: then the codec
version changes too. `python -m tests.unit.content.golden` writes them anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from sabir.clock import Instant
from sabir.content import gfm, loss_codec
from sabir.content.capabilities import Capabilities, Support
from sabir.content.capability_data import capabilities
from sabir.content.convert import RenderContext, render
from sabir.content.loss import CODEC_VERSION
from sabir.content.meaning import (
    Attachment,
    Deleted,
    Edited,
    Meaning,
    MediaKind,
    Reacted,
    RoomEvent,
    RoomEventKind,
    Said,
)
from sabir.content.model import ExternalPart, MessageId
from sabir.content.pieces import NativeRef
from sabir.content.replay import rendered_digest
from sabir.content.rich import Rich

FOLDER: Final = Path(__file__).parent / "golden"
NETWORKS: Final[Mapping[str, Capabilities]] = {
    name: replace(capabilities(name), room_events=True, ghosts=True)
    for name in ("matrix", "xmpp")
}
ID: Final = MessageId(b"\x01" + bytes(31))
NOW: Final = Instant(1_800_000_000_000)
REF: Final = NativeRef(
    native_id="native-1",
    author_name="Bo",
    excerpt="the words before",
    sent_at=Instant(NOW - 60_000),
    is_last=True,
)
HERE: Final = RenderContext(author_name="Ada", now=NOW, sent_at=NOW)
THERE: Final = replace(HERE, target=REF)
PHOTO: Final = Attachment(
    part=ExternalPart(
        content_type="image/png", url="spool:1", size=3_000, filename="sea.png"
    ),
    kind=MediaKind.IMAGE,
    width=4,
    height=3,
)
VOICE: Final = replace(
    PHOTO,
    part=ExternalPart(content_type="audio/ogg", url="spool:2", size=900),
    kind=MediaKind.VOICE,
)
LIMIT: Final = {"attachment_octets_max": 1_000}


def say(text: str, **more: object) -> Said:
    return replace(Said(text=gfm.read(text)), **more)  # type: ignore[arg-type]  # tests


Case = (
    tuple[Meaning, RenderContext] | tuple[Meaning, RenderContext, Mapping[str, object]]
)

CASES: Final[Mapping[str, Case]] = {
    "TXT-1": (say("hello"), HERE),
    "TXT-3": (
        say("Sentence one. Sentence two. Sentence three."),
        HERE,
        {"text_max": 36},
    ),
    "TXT-4": (Said(text=Rich.plain("word " * 300)), HERE, {"text_max": 100}),
    "TXT-5": (
        Said(text=Rich.plain("word " * 300)),
        HERE,
        {"text_max": 100, "attachment": Support.FALLBACK},
    ),
    "TXT-7": (Said(text=Rich.plain("a\x07b\u202ec")), HERE),
    "TXT-8": (say("hello **you**"), replace(HERE, relay=True)),
    "FMT-2": (say("**bold** _italic_ ++under++"), HERE),
    "FMT-3": (say("~~gone~~"), HERE),
    "FMT-4": (say("`a*b`\n\n```py\n  c\n```"), HERE),
    "FMT-5": (say("# head\n\n> quote **x**\n\n- a\n- b\n  1. c"), HERE),
    "FMT-6": (say("[here](https://x.example/) <https://x.example/>"), HERE),
    "FMT-7": (say("||`spoiler: film` he dies||"), HERE),
    "FMT-8": (say("| a | b |\n|-|-|\n| 1 | **2** |\n| 3 | 4 |"), HERE),
    "MEN-1": (
        say("[@Bo](mimi://x/u/bo) hi"),
        replace(HERE, mentions={"mimi://x/u/bo": "bo@native"}),
    ),
    "MEN-2": (say("[@Bo](mimi://x/u/bo) hi"), HERE),
    "RPL-1": (say("yes", in_reply_to=ID), THERE),
    "RPL-2": (
        say("yes", in_reply_to=ID),
        replace(HERE, original_author="Bo", original_excerpt="old words"),
    ),
    "RPL-3": (say("yes", in_reply_to=ID), THERE, {"reply": Support.FALLBACK}),
    "THR-1": (say("yes", topic=b"t"), replace(HERE, thread=REF)),
    "THR-2": (
        say("yes", topic=b"t"),
        replace(HERE, thread=REF),
        {"thread": Support.FALLBACK},
    ),
    "EDT-1": (Edited(target=ID, text=gfm.read("new **words**")), THERE),
    "EDT-2": (
        Edited(target=ID, text=Rich.plain("new")),
        THERE,
        {"edit_window_s": 60},
    ),
    "EDT-3": (
        Edited(target=ID, text=Rich.plain("new")),
        replace(THERE, correction=replace(REF, native_id="native-2")),
    ),
    "EDT-4": (
        Edited(target=ID, text=Rich.plain("new")),
        THERE,
        {"edit": Support.FALLBACK},
    ),
    "EDT-5": (
        Edited(target=ID, text=Rich.plain("new")),
        replace(THERE, edit_refused=True),
    ),
    "EDT-6": (
        Edited(target=ID, text=Rich.plain("new")),
        replace(HERE, target=replace(REF, is_last=False)),
    ),
    "EDT-7": (
        Edited(target=ID, attachments=(VOICE,)),
        replace(THERE, previous=Said(attachments=(PHOTO,))),
    ),
    "DEL-1": (Deleted(target=ID), THERE),
    "DEL-2": (Deleted(target=ID), THERE, {"delete_window_s": 60}),
    "DEL-4": (Deleted(target=ID), THERE, {"delete": Support.FALLBACK}),
    "RXN-1": (Reacted(target=ID, emoji="👍"), replace(THERE, emoji_before=("🎉",))),
    "RXN-2": (
        Reacted(target=ID, emoji="👍"),
        replace(THERE, emoji_before=("🎉",)),
        {"reactions_per_person": 1},
    ),
    "RXN-6": (Reacted(target=ID, emoji="👍"), THERE, {"reaction": Support.FALLBACK}),
    "RXN-7": (Reacted(target=ID, emoji="👍"), replace(THERE, relay=True)),
    "RXN-9": (
        Deleted(target=ID),
        replace(THERE, reaction_emoji="👍", reaction=REF),
        {"reaction": Support.FALLBACK},
    ),
    "ME-1": (Said(attachments=(PHOTO,)), HERE),
    "ME-6": (say("look", attachments=(PHOTO,)), HERE),
    "ME-7": (say("look", attachments=(PHOTO, PHOTO)), HERE),
    "ME-10": (say("look", attachments=(PHOTO,)), HERE, LIMIT),
    "VOI-3": (Said(attachments=(VOICE,)), HERE),
    "GRP-1": (
        RoomEvent(kind=RoomEventKind.NAME, value="A very long name"),
        HERE,
        {"room_name_max": 8},
    ),
    "GRP-2": (
        RoomEvent(kind=RoomEventKind.TOPIC, value="Tea"),
        HERE,
        {"room_events": False},
    ),
    "GRP-5": (RoomEvent(kind=RoomEventKind.JOINED), HERE, {"room_events": False}),
}


def golden(rule: str, network: str) -> str:
    """Return a case's rendering as text."""
    meaning, context, *less = CASES[rule]
    can = NETWORKS[network]
    if less:
        can = replace(can, **less[0])  # type: ignore[arg-type]  # tests
    pieces, report = render(meaning, can, context)
    digest = rendered_digest(pieces)
    lines = [
        f"codec {CODEC_VERSION}",
        f"level {int(report.level)}",
        *(
            f"loss {item.rule} L{int(item.level)}: {phrase}"
            for item, phrase in zip(
                sorted(report.items, key=lambda i: -i.level),
                report.phrases(),
                strict=True,
            )
        ),
        *(f"sentence {sentence}" for sentence in report.sentences()),
        f"report {loss_codec.digest(loss_codec.encode(report)).hex()}",
        f"pieces {digest.hex() if digest is not None else 'none'}",
        *(line for piece in pieces for line in _shown(piece)),
    ]
    return "\n".join(lines) + "\n"


def _shown(thing: object, depth: int = 0, name: str = "") -> Iterator[str]:
    """Yield a value as indented lines; what is at its default is left out."""
    indent = "  " * depth + (f"{name} = " if name else "")
    if is_dataclass(thing) and not isinstance(thing, type):
        yield f"{indent}{type(thing).__name__}"
        for field in fields(thing):
            value = getattr(thing, field.name)
            if value != field.default:
                yield from _shown(value, depth + 1, field.name)
    elif isinstance(thing, tuple) and thing:
        yield f"{indent}("
        for each in thing:
            yield from _shown(each, depth + 1)
        yield "  " * depth + ")"
    elif isinstance(thing, Enum):
        yield f"{indent}{thing.value}"
    else:
        yield f"{indent}{thing!a}"


def path(rule: str, network: str) -> Path:
    """Return where a golden file lies."""
    return FOLDER / network / f"{rule}.txt"


def main() -> None:
    """Write all files."""
    for network in NETWORKS:
        (FOLDER / network).mkdir(parents=True, exist_ok=True)
        for rule in CASES:
            path(rule, network).write_text(golden(rule, network), encoding="utf-8")


if __name__ == "__main__":
    main()
