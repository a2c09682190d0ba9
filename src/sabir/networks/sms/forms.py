"""Texts that stand for something else: a reaction, an answer, a correction. Pure.

Ours are those of the emulation grammar (CONVERSION.md section 8). Phones write others
when they react or edit towards somebody on SMS: iMessage `Loved “…”`, `Removed a heart
from “…”`, `Reacted 🎉 to “…”`, `Edited to “…”`; Google Messages `🎉 to “…”`. English
only. A form means something only if the quoted message is found (`memory.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import regex

FORM_CHARS_MAX: Final = 4_000
"""Longer texts are no forms: nobody quotes so much, and no search takes long."""
CORRECTION: Final = "Correction: "
ACT: Final = "/sms"
"""Begins a message that its sender wants to go by SMS."""

_EMOJI: Final = (
    r"(?:\p{Extended_Pictographic}|\p{Regional_Indicator}|\p{Emoji_Modifier}"
    r"|[0-9#*]\uFE0F?\u20E3|[\uFE0F\u200D])"
)
_QUOTED: Final = r"[“\"](?P<quoted>.+)[”\"]"
_TAPBACKS: Final[Mapping[str, tuple[str, str]]] = {
    "Loved": ("a heart", "❤️"),
    "Liked": ("a like", "👍"),
    "Disliked": ("a dislike", "👎"),
    "Laughed at": ("a laugh", "😂"),
    "Emphasized": ("an exclamation", "‼️"),
    "Questioned": ("a question mark", "❓"),
}
_ADDED: Final = {verb: emoji for verb, (_, emoji) in _TAPBACKS.items()}
_REMOVED: Final = dict(_TAPBACKS.values())


def _compile(pattern: str) -> "regex.Pattern[str]":
    return regex.compile(rf"(?s)\s*{pattern}\s*")


_OURS: Final = _compile(
    rf"(?P<name>[^\n:\"“]{{1,60}} )?reacted (?P<emoji>{_EMOJI}{{1,12}}) to {_QUOTED}"
)
_REACTED: Final = _compile(rf"(?:Reacted )?(?P<emoji>{_EMOJI}{{1,12}}) to {_QUOTED}")
_UNREACTED: Final = _compile(rf"Removed (?P<emoji>{_EMOJI}{{1,12}}) from {_QUOTED}")
_TAPBACK: Final = _compile(rf"(?P<verb>{'|'.join(_ADDED)}) {_QUOTED}")
_UNTAPBACK: Final = _compile(rf"Removed (?P<noun>{'|'.join(_REMOVED)}) from {_QUOTED}")
_EDITED: Final = _compile(r"Edited to [“\"](?P<text>.+)[”\"]")
_ANSWER: Final = regex.compile(r"> (?P<quoted>[^\n]+)\n(?P<text>.+)", regex.DOTALL)
_ACT: Final = regex.compile(
    rf"(?P<before>(?:> [^\n]*\n)?(?:[^\n]{{1,255}}?: ){{0,2}}){ACT}(?:[ \n]+|$)"
)
_NAMED: Final = regex.compile(r"[^\n:]{1,80}: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """Somebody reacted, or took it back."""

    emoji: str
    quoted: str
    removed: bool = False
    alone: bool = True
    """Their app has one reaction per message: it replaces the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Somebody quoted a message and wrote below."""

    quoted: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The new text of a message of theirs."""

    text: str
    quoted: str = ""
    """Empty: an app wrote the form, which does not say what it corrects."""


Form = Reaction | Answer | Correction


def form_of(text: str) -> Form | None:
    """Return what a text stands for by its form alone."""
    if len(text) > FORM_CHARS_MAX:
        return None
    for pattern in (_OURS, _REACTED):
        if found := pattern.fullmatch(text):
            return Reaction(
                emoji=found["emoji"],
                quoted=found["quoted"],
                alone=pattern is not _OURS,
            )
    if found := _UNREACTED.fullmatch(text):
        return Reaction(emoji=found["emoji"], quoted=found["quoted"], removed=True)
    if found := _TAPBACK.fullmatch(text):
        return Reaction(emoji=_ADDED[found["verb"]], quoted=found["quoted"])
    if found := _UNTAPBACK.fullmatch(text):
        emoji = _REMOVED[found["noun"]]
        return Reaction(emoji=emoji, quoted=found["quoted"], removed=True)
    if found := _EDITED.fullmatch(text):
        return Correction(text=found["text"])
    if found := _ANSWER.fullmatch(text):
        return _answer(found["quoted"], found["text"])
    return None


def _answer(quoted: str, text: str) -> Answer | Correction:
    named = _NAMED.match(text)
    for start in (0, named.end() if named else 0):
        if text.startswith(CORRECTION, start):
            return Correction(text=text[start + len(CORRECTION) :], quoted=quoted)
    return Answer(quoted=quoted, text=text)


def without_name(quoted: str) -> str:
    """Return a quotation without the name in front of it."""
    named = _NAMED.match(quoted)
    return quoted[named.end() :] if named else quoted


def act_of(text: str) -> str | None:
    """Return a text without the sender's mark that it is to go by SMS; None without.

    The mark stands in front of their own words: behind a quotation, their name and
    `Correction:`, which were put there on the way.
    """
    found = _ACT.match(text)
    return None if found is None else found["before"] + text[found.end() :]


# ---- consent of the person at the phone

_STOP: Final = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "QUIT", "CANCEL", "END"})
_START: Final = frozenset({"START", "UNSTOP"})
_HELP: Final = frozenset({"HELP", "INFO"})


def wants_stop(text: str) -> bool:
    """Tell whether a whole message withdraws consent."""
    return text.strip().rstrip(".!").upper() in _STOP


def wants_start(text: str) -> bool:
    """Tell whether a whole message gives it again."""
    return text.strip().rstrip(".!").upper() in _START


def wants_help(text: str) -> bool:
    """Tell whether a whole message asks who we are."""
    return text.strip().rstrip(".!?").upper() in _HELP
