"""From a meaning to what one network can show, and what that loses. Pure.

Same meaning, capabilities and context: same pieces and same report, on every
attempt and at every third party that replays a conversion. The rules are those of
CONVERSION.md section 6; `rules.RULES` lists the ones that are implemented.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sabir.content.announcing import announce
from sabir.content.capabilities import Capabilities
from sabir.content.changing import delete, edit
from sabir.content.context import RenderContext
from sabir.content.loss import LOSSLESS, LossReport, merged
from sabir.content.meaning import (
    Deleted,
    Edited,
    Meaning,
    Reacted,
    RoomEvent,
    Said,
)
from sabir.content.measuring import COST_MAX
from sabir.content.pieces import Piece, TextPiece
from sabir.content.reacting import react, take_back
from sabir.content.rich import Paragraph, Text
from sabir.content.saying import Speech, say
from sabir.content.tidying import TROUBLE

__all__ = ["Leg", "RenderContext", "Rendered", "preview", "render"]

Rendered = tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One chat that a message would go to."""

    capabilities: Capabilities
    context: RenderContext


def render(
    meaning: Meaning, capabilities: Capabilities, context: RenderContext
) -> tuple[Rendered, LossReport]:
    """Return the pieces to send, in order, and what they lose.

    No pieces and a report of level 4: withheld. No pieces and no loss: there is
    nothing to do on this leg.
    """
    if type(meaning) is Said:
        simple = _simple(meaning, capabilities, context)
        if simple is not None:
            return (simple,), LOSSLESS
    speech = _speech(meaning, capabilities, context)
    return tuple(speech.pieces), merged(speech.items)


def preview(meaning: Meaning, legs: Sequence[Leg]) -> tuple[LossReport, ...]:
    """Return what each leg would lose, without sending anything."""
    return tuple(render(meaning, leg.capabilities, leg.context)[1] for leg in legs)


def _simple(
    meaning: Said, capabilities: Capabilities, context: RenderContext
) -> TextPiece | None:
    """Return the piece of a short plain message, the usual case; else None."""
    text = meaning.text
    if (
        text is None
        or context.relay
        or meaning.attachments
        or meaning.in_reply_to is not None
        or meaning.topic
    ):
        return None
    match text.blocks:
        case (Paragraph(children=(Text(text=plain),)),) if (
            len(plain) * COST_MAX <= capabilities.text_max
            and TROUBLE.search(plain) is None
        ):
            return TextPiece(text=text, emote=meaning.emote)
        case _:
            return None


def _speech(
    meaning: Meaning, capabilities: Capabilities, context: RenderContext
) -> Speech:
    match meaning:
        case Said(in_reply_to=answered):
            reply = context.target if answered is not None else None
            return say(meaning, capabilities, context, reply=reply)
        case Edited():
            return edit(meaning, capabilities, context)
        case Deleted():
            if context.reaction_emoji:
                return take_back(capabilities, context)
            return delete(capabilities, context)
        case Reacted():
            return react(meaning, capabilities, context)
        case RoomEvent():
            return announce(meaning, capabilities, context)
