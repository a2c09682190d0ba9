"""What each rule's loss is called, for people (English).

`{before}` and `{after}` are those of the item: kinds and sizes, never content.
"""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "DEC-1": "{before}",
    "TXT-3": "split into {after}",
    "TXT-4": "long text sent as a file ({before})",
    "TXT-5": "the text is not sent: it is too long ({before})",
    "TXT-7": "control characters removed",
    "TXT-8": "the author's name put in front",
    "FMT-2": "{before} shown as plain text",
    "FMT-3": "strike shown as ~text~",
    "FMT-4": "code shown as plain text",
    "FMT-5": "{before} shown with typed marks",
    "FMT-6": "link shown with its address",
    "FMT-7": "spoiler moved below empty lines",
    "FMT-8": "table shown as {after}",
    "MEN-2": "a mentioned person is not notified",
    "RPL-2": "the answered message is not there; {after}",
    "RPL-3": "answers are not shown there; {after}",
    "THR-1": "the thread is shown by some apps only",
    "THR-2": "the thread is not shown; {after}",
    "EDT-2": "the edit is sent as a correction",
    "EDT-3": "the edit is sent to the last correction",
    "EDT-4": "the edit is sent as a correction",
    "EDT-5": "the edit was refused and is sent as a correction",
    "EDT-6": "the edit is sent as a correction: only the last message can change",
    "EDT-7": "the changed file is sent again as a correction",
    "DEL-2": "deleted here, still visible there ({before})",
    "DEL-3": "asked to delete; apps may keep it",
    "DEL-4": "deleted here, still visible there (nothing can be deleted there)",
    "RXN-2": "only the last {after} shown",
    "RXN-6": "reaction {after}",
    "RXN-7": "one reaction stands for everybody",
    "RXN-9": "the reaction sent as text {after}",
    "ME-6": "caption sent as a message of its own",
    "ME-7": "{before} sent one by one",
    "ME-10": "the file is not sent: {before}",
    "VOI-3": "voice message sent as an audio file",
    "GRP-1": "name cut to {after}",
    "GRP-2": "{before} kept here only",
    "GRP-5": "shown as a line of text",
}
