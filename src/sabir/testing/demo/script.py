"""The conversation, in order."""

from collections.abc import Sequence
from typing import Final

from sabir.testing.demo import (
    files,
    people,
    rooms,
    signals,
    third,
    truth,
    words_to_matrix,
    words_to_xmpp,
)
from sabir.testing.demo.step import Step

_WORDS: Final[Sequence[Step]] = (
    words_to_xmpp.FIRST,
    words_to_matrix.FIRST,
    words_to_xmpp.SECOND,
    words_to_matrix.SECOND,
    words_to_xmpp.FORMATTED,
    words_to_matrix.FORMATTED,
    words_to_xmpp.LONG,
    words_to_matrix.LONG,
    words_to_xmpp.RIGHT_TO_LEFT,
    words_to_matrix.RIGHT_TO_LEFT,
    words_to_xmpp.EMOJI,
    words_to_matrix.EMOJI,
    words_to_xmpp.REPLY,
    words_to_matrix.REPLY,
    words_to_xmpp.EDIT,
    words_to_matrix.EDIT,
    words_to_xmpp.REACTION,
    words_to_xmpp.SECOND_REACTION,
    words_to_xmpp.REACTION_REMOVED,
    words_to_xmpp.LAST_REACTION_REMOVED,
    words_to_matrix.REACTION,
    words_to_matrix.SECOND_REACTION,
    words_to_matrix.REACTION_REMOVED,
    words_to_matrix.LAST_REACTION_REMOVED,
    words_to_xmpp.DELETION,
    words_to_matrix.DELETION,
    *files.IMAGES,
    *files.VOICE,
    *files.FILES,
)
_SIGNALS: Final[Sequence[Step]] = (
    signals.TYPING_TO_XMPP,
    signals.STOPPED_TO_XMPP,
    signals.TYPING_TO_MATRIX,
    signals.STOPPED_TO_MATRIX,
    signals.RECEIPT_TO_XMPP,
    signals.RECEIPT_TO_MATRIX,
)
_ROOMS: Final[Sequence[Step]] = (
    *people.MATRIX_PERSON,
    *people.XMPP_PERSON,
    *rooms.STEPS,
)
DIRECT: Final[Sequence[Step]] = (*_WORDS, *_SIGNALS, *_ROOMS, *truth.STEPS)
"""Over one Sabir."""
FEDERATED: Final[Sequence[Step]] = (
    *_WORDS,
    *_ROOMS,
    *third.STEPS,
    *truth.STEPS,
    *third.CHECKS,
)
"""Over two agents and two providers: MIMI has no events that pass and are forgotten, so
who types or has read is told within one agent only."""
