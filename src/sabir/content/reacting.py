"""Rules RXN: reactions, their limits and their text form."""

from collections.abc import Sequence
from typing import Final

from sabir.content.capabilities import Capabilities, Support
from sabir.content.changing import deletions
from sabir.content.context import RenderContext
from sabir.content.loss import Level, LossItem, WayBack, Why
from sabir.content.meaning import Reacted
from sabir.content.measuring import clusters
from sabir.content.pieces import (
    NativeRef,
    ReactPiece,
    TextPiece,
    UnreactPiece,
)
from sabir.content.rich import Rich
from sabir.content.saying import Speech
from sabir.content.tidying import tidy_name

QUOTED_CLUSTERS_MAX: Final = 40
"""Section 8: a text reaction names so much of its message."""


def react(
    meaning: Reacted, capabilities: Capabilities, context: RenderContext
) -> Speech:
    """Return a reaction as a piece (RXN-1, 2, 6, 7)."""
    target = context.target
    if target is None or capabilities.reaction < Support.PARTIAL:
        return _as_text(meaning.emoji, target, capabilities, context)
    before = context.emoji_before
    others = dict.fromkeys(each for each in before if each != meaning.emoji)
    after = (*others, meaning.emoji)
    shown = _shown(after, capabilities)
    items = _kept_back(after, shown)
    if context.relay:
        items.append(_item("RXN-7", Why.FEATURE_MISSING, "a person", "the account"))
    piece = ReactPiece(target=target, emoji=meaning.emoji, all_emoji=shown)
    return Speech([piece], items)


def take_back(capabilities: Capabilities, context: RenderContext) -> Speech:
    """Return the removal of `context.reaction_emoji` (RXN-9)."""
    emoji, target = context.reaction_emoji, context.target
    if target is None or capabilities.reaction < Support.PARTIAL:
        return _text_taken_back(capabilities, context)
    before = _shown(tuple(dict.fromkeys(context.emoji_before)), capabilities)
    others = list(context.emoji_before)
    if emoji in others:
        others.remove(emoji)
    if emoji in others:  # RXN-7: the account shows it for somebody else too
        return Speech([], [])
    left = tuple(dict.fromkeys(others))
    shown = _shown(left, capabilities)
    items = _kept_back(left, shown)
    if context.emoji_before and emoji not in before:
        return Speech([], items)  # it was kept back, so nobody sees a change
    gone = UnreactPiece(
        target=target, emoji=emoji, reaction=context.reaction, all_emoji=shown
    )
    speech = Speech([gone], items)
    for each in shown:
        if each not in before:  # RXN-2: the next one comes back
            piece = ReactPiece(target=target, emoji=each, all_emoji=shown)
            speech.pieces.append(piece)
    return speech


def _shown(emoji: Sequence[str], capabilities: Capabilities) -> tuple[str, ...]:
    most = capabilities.reactions_per_person
    if most is None or len(emoji) <= most:
        return tuple(emoji)
    return tuple(emoji[len(emoji) - most :])


def _kept_back(emoji: Sequence[str], shown: Sequence[str]) -> list[LossItem]:
    if len(shown) == len(emoji):
        return []
    before = f"{len(emoji)} reactions"
    return [_item("RXN-2", Why.COUNT_EXCEEDED, before, str(len(shown)))]


# ---- reactions as text


def _as_text(
    emoji: str,
    target: NativeRef | None,
    capabilities: Capabilities,
    context: RenderContext,
) -> Speech:
    name = f"{tidy_name(context.author_name)} " if context.relay else ""
    line = f"{name}reacted {emoji}"
    can_reply = target is not None and capabilities.reply >= Support.PARTIAL
    words = target.excerpt if target is not None else context.original_excerpt
    if target is None and not words:
        why = Why.TARGET_NOT_THERE
        after = "not sent: its message is not there"
        return Speech([], [_item("RXN-6", why, emoji, after, Level.WITHHELD)])
    if not can_reply and words:
        line += f' to "{_opening(words)}"'
    why = Why.FEATURE_MISSING if target is not None else Why.TARGET_NOT_THERE
    piece = TextPiece(text=Rich.plain(line), reply_to=target if can_reply else None)
    item = _item("RXN-6", why, emoji, "sent as text", back=WayBack.MARKER)
    return Speech([piece], [item])


def _opening(words: str) -> str:
    one_line = " ".join(words.split())
    short = clusters(one_line, QUOTED_CLUSTERS_MAX)
    return short if short == one_line else f"{short}…"


def _text_taken_back(capabilities: Capabilities, context: RenderContext) -> Speech:
    reaction = context.reaction
    if reaction is None:
        return Speech(
            [], [_item("RXN-9", Why.TARGET_NOT_THERE, after="was never sent")]
        )
    speech = deletions((reaction,), capabilities, now=context.now)
    if speech.pieces:
        return Speech(
            speech.pieces, [_item("RXN-9", Why.FEATURE_MISSING, after="deleted")]
        )
    return Speech([], [_item("RXN-9", Why.FEATURE_MISSING, after="stays")])


def _item(
    rule: str,
    why: Why,
    before: str = "",
    after: str = "",
    level: Level = Level.FUNCTION,
    back: WayBack = WayBack.STORE,
) -> LossItem:
    level = Level.FORM if rule == "RXN-9" else level
    return LossItem(
        rule=rule, level=level, back=back, why=why, before=before, after=after
    )
