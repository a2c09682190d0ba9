"""Quotations find one message, or none."""

import pytest

from sabir.clock import Instant
from sabir.networks.api import NativeId
from sabir.networks.sms.forms import Answer, Correction, Reaction
from sabir.networks.sms.memory import MESSAGES_MAX, Meant, Memory

NOW = Instant(1_700_000_000_000)
DAY = 24 * 3_600_000


def memory(*texts: str, ours: bool = True, at: int = NOW) -> Memory:
    made = Memory()
    for number, text in enumerate(texts):
        made.add(NativeId(f"m{number}"), text, ours=ours, now=Instant(at))
    return made


def found(made: Memory, quoted: str, now: int = NOW) -> str | None:
    meant = made.meaning_of(Reaction(emoji="👍", quoted=quoted), Instant(now))
    return None if meant is None else meant.target


@pytest.mark.parametrize(
    "quoted",
    [
        "Ada: see you\nat nine",
        "Ada: see  you at nine",
        "Ada: see you…",
        "Ada: see you...",
        "Host: Ada: see you at nine",
    ],
)
def test_a_quotation_finds_its_message(quoted: str) -> None:
    assert found(memory("Ada: see you\nat nine", "Bo: no"), quoted) == "m0"


@pytest.mark.parametrize("quoted", ["see you", "…", "Ada: see", "at nine…"])
def test_what_is_no_beginning_finds_nothing(quoted: str) -> None:
    assert found(memory("Ada: see you at nine"), quoted) is None


def test_two_that_could_be_meant_are_none() -> None:
    assert found(memory("ok", "ok"), "ok") is None
    assert found(memory("okay one", "okay two"), "okay…") is None


def test_after_two_weeks_nothing_is_found() -> None:
    made = memory("hi")
    assert found(made, "hi", NOW + 14 * DAY) == "m0"
    assert found(made, "hi", NOW + 14 * DAY + 1) is None


def test_long_messages_are_found_by_their_beginning() -> None:
    text = "word " * 100
    assert found(memory(text), text) == "m0"


def test_only_the_last_hundred_are_known() -> None:
    made = memory("first", *(f"number {n}" for n in range(MESSAGES_MAX)))
    assert found(made, "first") is None
    assert found(made, "number 0") == "m1"


def test_nobody_corrects_what_we_said() -> None:
    form = Correction(quoted="hi", text="ho")
    theirs = memory("hi", ours=False).meaning_of(form, NOW)
    assert theirs == Meant(form=form, target=NativeId("m0"))
    ours = memory("hi").meaning_of(form, NOW)
    assert ours == Meant(form=Answer(quoted="hi", text="ho"), target=NativeId("m0"))


def test_an_edit_finds_the_one_it_is_like() -> None:
    made = memory("shall we meet at nine", "what a day", ours=False)
    edit = Correction(text="shall we meet at ten")
    meant = made.meaning_of(edit, NOW)
    assert meant == Meant(form=edit, target=NativeId("m0"))
    assert made.meaning_of(edit, Instant(NOW + 17 * 60_000)) is None
    assert made.meaning_of(Correction(text="0123456789"), NOW) is None


def test_it_survives_on_disk() -> None:
    made = memory("hi “you”", "x" * 300, ours=False)
    assert Memory.load(made.dump()).dump() == made.dump()
    assert found(Memory.load(None), "hi") is None
