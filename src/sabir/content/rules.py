"""Every conversion rule that is implemented: the source of docs/reference/losses.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, for people."""

    name: str
    when: str
    what: str
    level: str
    """Loss level, or levels."""
    back: str
    """S: the original is in the timeline. M: recognised by its form."""


RULES: Final[Sequence[Rule]] = (
    Rule(
        "DEC-1",
        "a network said something that has no form in the room",
        "the rest is taken in; the entry names what is missing",
        "L2",
        "S",
    ),
    Rule("TXT-1", "the text fits", "as it is", "L0", "-"),
    Rule(
        "TXT-3",
        "over the limit, few parts",
        "split, with `(1/3) ` in front of each part",
        "L1",
        "S",
    ),
    Rule(
        "TXT-4",
        "too many parts, files possible",
        "the first 500 characters, and the whole text as `message.txt`",
        "L2",
        "S",
    ),
    Rule("TXT-5", "too many parts, no files", "the text is withheld", "L4", "S"),
    Rule(
        "TXT-7",
        "control characters, unbalanced direction marks",
        "removed; names that are not left-to-right are isolated",
        "L1",
        "S",
    ),
    Rule(
        "TXT-8",
        "one account speaks for several people",
        "`Name: ` in front of the text",
        "L1",
        "S",
    ),
    Rule("FMT-1", "the network has the form", "its own form", "L0", "S"),
    Rule("FMT-2", "no bold, italic or underline", "plain text", "L1", "S"),
    Rule("FMT-3", "no strike", "`~text~`", "L1", "S"),
    Rule("FMT-4", "no code", "the text, indentation kept", "L1", "S"),
    Rule(
        "FMT-5",
        "no quotes, lists or headings",
        "`> `, `- `, `1. `; a heading is a line of its own",
        "L1",
        "S",
    ),
    Rule(
        "FMT-6",
        "no link text, an address that no app may follow, or a text that reads like"
        " another address",
        "`text (address)`; the address once if it is the text",
        "L1",
        "S",
    ),
    Rule(
        "FMT-7",
        "no spoilers",
        "`Spoiler below`, twenty empty lines, the text",
        "L2",
        "S",
    ),
    Rule(
        "FMT-8",
        "no tables",
        "aligned columns as code up to 60 wide; else one line for each row; "
        "over 20 rows a `.csv` file",
        "L2",
        "S",
    ),
    Rule("MEN-1", "the person has an identity in the chat", "mentioned", "L0", "S"),
    Rule(
        "MEN-2",
        "the person has none there, or nobody can be mentioned",
        "`@Name` as text; nobody is notified",
        "L2",
        "S",
    ),
    Rule("RPL-1", "the answered message is in the chat", "answered", "L0", "S"),
    Rule(
        "RPL-2",
        "the answered message is not in the chat",
        "`> Name: first 80 characters…` in front of the text",
        "L2",
        "S",
    ),
    Rule("RPL-3", "the network has no answers", "as RPL-2", "L2", "S"),
    Rule("THR-1", "the network has threads", "in the thread", "L0, L1", "S"),
    Rule(
        "THR-2",
        "no threads, or the thread is not in the chat",
        "an answer to the thread's first message, if it is there",
        "L2",
        "S",
    ),
    Rule("EDT-1", "inside the window", "edited", "L0", "S"),
    Rule(
        "EDT-2",
        "the window has passed, or the message is not there",
        "`Correction: ` and the new text, as an answer",
        "L2",
        "S",
    ),
    Rule(
        "EDT-3",
        "there is a correction already",
        "the correction is edited, or corrected once more",
        "L2",
        "S",
    ),
    Rule("EDT-4", "the network has no edits", "as EDT-2", "L2", "S"),
    Rule("EDT-5", "the network refused the edit", "as EDT-2, once", "L2", "S"),
    Rule(
        "EDT-6",
        "only the last message can change, and this is not it",
        "as EDT-2",
        "L2",
        "S",
    ),
    Rule("EDT-7", "a file changed", "as EDT-2, with the new file", "L2", "S"),
    Rule("DEL-1", "inside the window", "deleted for all", "L0", "S"),
    Rule(
        "DEL-2",
        "the window has passed, or nothing is there",
        "nothing is sent; the author is told",
        "L3, L1",
        "S",
    ),
    Rule("DEL-3", "apps are only asked to delete", "they are asked", "L2", "S"),
    Rule("DEL-4", "the network has no deletion", "as DEL-2", "L3", "S"),
    Rule("RXN-1", "reactions are allowed", "reacted", "L0", "S"),
    Rule(
        "RXN-2",
        "more reactions than a person may have",
        "the latest are shown; removing one brings the next back",
        "L2",
        "S",
    ),
    Rule(
        "RXN-6",
        "no reactions, or the message is not there",
        "`reacted 🎉` as an answer or with the quoted start; "
        "withheld if nothing is known of the message",
        "L2, L4",
        "M",
    ),
    Rule(
        "RXN-7",
        "one account speaks for several people",
        "it carries the reaction",
        "L2",
        "S",
    ),
    Rule(
        "RXN-9",
        "a reaction sent as text is taken back",
        "the text is deleted if it can be",
        "L1",
        "S",
    ),
    Rule("ME-1", "size and type are accepted", "as it is", "L0", "S"),
    Rule(
        "ME-6",
        "the caption is too long, or there are none",
        "a message of its own after the file",
        "L1",
        "S",
    ),
    Rule("ME-7", "several files", "one by one, the caption with the first", "L1", "S"),
    Rule(
        "ME-10",
        "the file is too large, or there are no files",
        "withheld; a line names it and the reason",
        "L4",
        "S",
    ),
    Rule("VOI-1", "voice messages exist", "as one", "L0", "S"),
    Rule("VOI-3", "no voice messages", "an audio file named `voice-<time>`", "L2", "S"),
    Rule("GRP-1", "the name is too long", "cut, with `…`", "L1", "S"),
    Rule("GRP-2", "no topic or picture", "a line; the room keeps it", "L1", "S"),
    Rule(
        "GRP-5", "joins, leaves and renames are not native there", "a line", "L1", "S"
    ),
)

_HEAD: Final = """# What is lost between networks, and how it comes back

The original of every message stays in the room. What a network gets is a rendering
of it, made again from the original each time; these are the rules. `sabir log`
names the rule of every loss.

| level | meaning |
|--|--|
| L0 | same look, same function |
| L1 | looks different |
| L2 | a function is lost or emulated |
| L3 | a part is not carried |
| L4 | withheld on that network |

Way back: **S** the original is in the timeline, and native ids lead back to it;
**M** the text has an exact form that Sabir recognises.

This page is generated from `sabir.content.rules`.

| rule | when | what | loss | back |
|--|--|--|--|--|
"""


def page() -> str:
    """Return docs/reference/losses.md."""
    rows = (
        f"| {rule.name} | {rule.when} | {rule.what} | {rule.level} | {rule.back} |\n"
        for rule in RULES
    )
    return _HEAD + "".join(rows)
