"""Free words go for 24 hours after the person's last message, not a second longer."""

from sabir.clock import Instant
from sabir.networks.whatsapp.window import WINDOW_MS, is_open, refusal

NOW = Instant(1_800_000_000_000)


def test_the_window_is_24_hours_to_the_second() -> None:
    assert is_open(Instant(NOW - WINDOW_MS + 1_000), now=NOW)
    assert not is_open(Instant(NOW - WINDOW_MS), now=NOW)
    assert not is_open(Instant(NOW - WINDOW_MS - 1_000), now=NOW)


def test_what_is_not_known_is_left_to_whatsapp() -> None:
    assert is_open(None, now=NOW)


def test_the_sentence_names_cause_and_way_out() -> None:
    assert "last 24 hours" in refusal(has_template=False)
    assert "`template`" in refusal(has_template=False)
    assert "`template`" not in refusal(has_template=True)
    assert "send any message" in refusal(has_template=True)
