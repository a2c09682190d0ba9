"""Rules EDT and DEL: a message that is changed or taken back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sabir.clock import Instant
from sabir.content.capabilities import Capabilities, Support
from sabir.content.context import RenderContext
from sabir.content.loss import Level, LossItem, WayBack, Why
from sabir.content.meaning import Edited, Said
from sabir.content.pieces import (
    DeletePiece,
    EditPiece,
    MediaPiece,
    NativeRef,
    Piece,
    TextPiece,
)
from sabir.content.saying import Speech, say

WINDOW_MARGIN_MS: Final = 30_000
"""A window counts as closed this early: the network's clock may be ahead."""


def window_open(sent_at: Instant, window_s: int | None, *, now: Instant) -> bool:
    """Tell whether a message may still be changed."""
    if window_s is None:
        return True
    return now - sent_at <= window_s * 1000 - WINDOW_MARGIN_MS


# ---- deleting


def delete(capabilities: Capabilities, context: RenderContext) -> Speech:
    """Return what takes the target back, all its parts (DEL-1 to DEL-4)."""
    refs = _refs(context)
    if not refs:
        nothing = _item("DEL-2", Level.FORM, Why.TARGET_NOT_THERE, "it was never there")
        return Speech([], [nothing])
    return deletions(refs, capabilities, now=context.now)


def deletions(
    refs: Sequence[NativeRef], capabilities: Capabilities, *, now: Instant
) -> Speech:
    """Return what takes native messages back, and what cannot be taken back."""
    speech = Speech()
    if capabilities.delete < Support.PARTIAL:
        speech.items.append(_item("DEL-4", Level.MEANING, Why.FEATURE_MISSING))
        return speech
    window_s = capabilities.delete_window_s
    for ref in refs:
        if window_open(ref.sent_at, window_s, now=now):
            speech.pieces.append(DeletePiece(target=ref))
        else:
            before = f"older than {_span(window_s or 0)}"
            late = _item("DEL-2", Level.MEANING, Why.WINDOW_PASSED, before)
            speech.items.append(late)
    if speech.pieces and capabilities.delete_is_request:
        asked = _item("DEL-3", Level.FUNCTION, Why.FEATURE_MISSING)
        speech.items.append(asked)
    return speech


def _span(seconds: int) -> str:
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} seconds"


# ---- editing


def edit(meaning: Edited, capabilities: Capabilities, context: RenderContext) -> Speech:
    """Return what brings the target to its new version (EDT-1 to EDT-7)."""
    return _Editing(meaning, capabilities, context).edit()


@dataclass(slots=True)
class _Plan:
    """Native changes, not yet checked against the windows."""

    edits: list[tuple[NativeRef, TextPiece]] = field(default_factory=list)
    surplus: Sequence[NativeRef] = ()
    missing: Sequence[TextPiece | MediaPiece] = ()


class _Editing:
    def __init__(
        self, meaning: Edited, capabilities: Capabilities, context: RenderContext
    ) -> None:
        self._meaning = meaning
        self._can = capabilities
        self._context = context
        self._refs = _refs(context)

    def edit(self) -> Speech:
        """Return the change, natively if possible, else as a correction."""
        context = self._context
        if not self._refs:
            return self._corrected("EDT-2", Why.TARGET_NOT_THERE, None)
        if context.correction is not None:
            return self._of_correction(context.correction)
        new = self._version(self._meaning)
        plan = self._plan(new.pieces)
        if plan is None:
            return self._corrected("EDT-7", Why.FEATURE_MISSING, self._refs[0])
        gone = Speech()
        if plan.surplus:
            gone = deletions(plan.surplus, self._can, now=self._context.now)
        obstacle = self._obstacle([ref for ref, _ in plan.edits])
        if obstacle is None and len(gone.pieces) < len(plan.surplus):
            obstacle = "EDT-2", gone.items[0].why  # old words would stay
        if obstacle is not None:
            return self._corrected(*obstacle, self._refs[0])
        return self._native(plan, gone, new.items)

    def _native(self, plan: _Plan, gone: Speech, items: Iterable[LossItem]) -> Speech:
        speech = Speech([], [*items, *gone.items])
        for ref, piece in plan.edits:
            speech.pieces.append(EditPiece(target=ref, text=piece.text))
        speech.pieces += gone.pieces
        last = self._refs[-1] if self._can.reply >= Support.PARTIAL else None
        for missing in plan.missing:
            speech.pieces.append(replace(missing, reply_to=last))
        return speech

    # ---- what changed

    def _version(self, meaning: Edited | Said) -> Speech:
        """Return a version of the message as its first one was rendered."""
        said = Said(text=meaning.text, attachments=meaning.attachments)
        previous = self._context.previous
        if isinstance(previous, Said):
            said = replace(previous, text=meaning.text, attachments=meaning.attachments)
        return say(said, self._can, self._context, reply=self._context.reply_target)

    def _plan(self, new: Sequence[Piece]) -> _Plan | None:
        """Compare versions part by part; None if a file changed (EDT-7)."""
        refs, old = self._refs, self._old()
        plan = _Plan(surplus=refs[len(new) :])
        for index, piece in enumerate(new[: len(refs)]):
            before = old[index] if old is not None else None
            if before is not None and _same(piece, before):
                continue
            if not isinstance(piece, TextPiece) or isinstance(before, MediaPiece):
                return None
            plan.edits.append((refs[index], piece))
        missing = new[len(refs) :]
        assert all(isinstance(piece, TextPiece | MediaPiece) for piece in missing)
        plan.missing = [p for p in missing if isinstance(p, TextPiece | MediaPiece)]
        return plan

    def _old(self) -> Sequence[Piece] | None:
        previous = self._context.previous
        if not isinstance(previous, Said | Edited):
            return None
        pieces = self._version(previous).pieces
        return pieces if len(pieces) == len(self._refs) else None

    # ---- whether it can be changed

    def _obstacle(self, refs: Sequence[NativeRef]) -> tuple[str, Why] | None:
        can, context = self._can, self._context
        if not refs:
            return None
        if can.edit < Support.PARTIAL:
            return "EDT-4", Why.FEATURE_MISSING
        if context.edit_refused:
            return "EDT-5", Why.REFUSED_BY_NETWORK
        if can.edit_last_only and not all(ref.is_last for ref in refs):
            return "EDT-6", Why.NOT_ALLOWED_HERE
        window_s = can.edit_window_s
        if not all(window_open(r.sent_at, window_s, now=context.now) for r in refs):
            return "EDT-2", Why.WINDOW_PASSED
        return None

    # ---- corrections

    def _corrected(self, rule: str, why: Why, reply: NativeRef | None) -> Speech:
        said = Said(text=self._meaning.text, attachments=self._meaning.attachments)
        speech = say(said, self._can, self._context, reply=reply, correction=True)
        item = _item(rule, Level.FUNCTION, why, "an edit", "a correction")
        return Speech(speech.pieces, [item, *speech.items])

    def _of_correction(self, correction: NativeRef) -> Speech:
        """Change the last correction, or correct it once more (EDT-3)."""
        why = Why.WINDOW_PASSED
        speech = self._corrected("EDT-3", why, correction)
        match speech.pieces:
            case [TextPiece(text=text)] if self._obstacle([correction]) is None:
                return Speech([EditPiece(target=correction, text=text)], speech.items)
            case _:
                return speech


def _same(one: Piece, other: Piece) -> bool:
    match one, other:
        case TextPiece(), TextPiece():
            return one.text == other.text
        case MediaPiece(), MediaPiece():
            return one.attachment == other.attachment and one.caption == other.caption
        case _:
            return False


def _refs(context: RenderContext) -> tuple[NativeRef, ...]:
    if context.target_parts:
        return context.target_parts
    return (context.target,) if context.target is not None else ()


def _item(
    rule: str, level: Level, why: Why, before: str = "", after: str = ""
) -> LossItem:
    return LossItem(
        rule=rule,
        level=level,
        back=WayBack.STORE,
        why=why,
        before=before,
        after=after,
    )
