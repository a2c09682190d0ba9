"""Digests of what we sent: which are kept, and their rows."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.crypto.suites import SUITES
from sabir.mls.group.sent import SentKind, SentLog
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.wire.errors import Malformed

SUITE = SUITES[1]
KINDS = (SentKind.HANDSHAKE, SentKind.APPLICATION)


def message(kind: int, number: int) -> bytes:
    return b"message %d %d" % (kind, number)


def content(kind: int, number: int) -> bytes:
    return b"content %d %d" % (kind, number)


def note(log: SentLog, kind: int, number: int) -> None:
    log.note(kind, number, message(kind, number), content(kind, number))


def known(log: SentLog, kind: int) -> list[int]:
    return [number for number in range(200) if log.is_known(kind, number)]


def write(store: dict[bytes, bytes], changes: Mapping[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            del store[key]
        else:
            store[key] = value


def test_a_message_is_known_by_its_number_and_octets() -> None:
    log = SentLog(SUITE, DEFAULT_LIMITS)
    for number in range(20):
        note(log, SentKind.APPLICATION, number)
    for number in range(20):
        ours = message(SentKind.APPLICATION, number)
        assert log.is_ours(SentKind.APPLICATION, number, ours)
        assert not log.is_ours(SentKind.APPLICATION, number + 1, ours)
        assert not log.is_ours(SentKind.HANDSHAKE, number, ours)
        assert log.has_signed(content(SentKind.APPLICATION, number))
        assert not log.has_signed(ours)
    assert not log.is_known(SentKind.APPLICATION, 20)


def test_messages_in_the_clear_are_counted() -> None:
    log = SentLog(SUITE, DEFAULT_LIMITS)
    for number in range(40):
        log.note_public(message(2, number), content(2, number))
    note(log, SentKind.APPLICATION, 0)
    assert known(log, SentKind.PUBLIC) == list(range(40))
    assert log.is_ours_in_public(message(2, 39))
    assert not log.is_ours_in_public(message(1, 0))
    assert not log.is_ours_in_public(content(2, 39))


def test_what_was_sent_before_the_log_began_is_not_known() -> None:
    log = SentLog(SUITE, DEFAULT_LIMITS)
    for number in (21, 22, 35):
        note(log, SentKind.HANDSHAKE, number)
    assert known(log, SentKind.HANDSHAKE) == [21, 22, 35]
    assert not log.is_ours(SentKind.HANDSHAKE, 20, message(0, 20))


def test_the_oldest_go_first() -> None:
    log = SentLog(SUITE, Limits(own_messages_known_max=40))
    for number in range(150):
        note(log, SentKind.APPLICATION, number)
        at_least = list(range(max(0, number - 40), number + 1))
        assert known(log, SentKind.APPLICATION)[-len(at_least) :] == at_least
        assert len(known(log, SentKind.APPLICATION)) <= 40 + 2 * 16


def test_rows_that_the_store_has_are_dropped_there_too() -> None:
    log = SentLog(SUITE, Limits(own_messages_known_max=16))
    store: dict[bytes, bytes] = {}
    for number in range(100):
        note(log, SentKind.APPLICATION, number)
        write(store, log.changes())
        log.saved()
        assert store == dict(log.rows())
    assert known(log, SentKind.APPLICATION)[0] > 16


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=150))
def test_the_changes_add_up_to_the_rows(steps: list[tuple[int, bool]]) -> None:
    log = SentLog(SUITE, Limits(own_messages_known_max=16))
    store: dict[bytes, bytes] = {}
    numbers = dict.fromkeys(KINDS, 5)
    for kind, save in steps:
        note(log, kind, numbers[SentKind(kind)])
        numbers[SentKind(kind)] += 1
        if save:
            write(store, log.changes())
            log.saved()
            assert store == dict(log.rows())
    write(store, log.changes())
    log.saved()
    assert log.changes() == {}
    assert store == dict(log.rows())
    assert store.keys() == set(log.row_keys())
    loaded = SentLog.from_rows(SUITE, store.items(), DEFAULT_LIMITS)
    assert dict(loaded.rows()) == store
    for kind in KINDS:
        assert known(loaded, kind) == known(log, kind)
        note(loaded, kind, numbers[kind])
        assert loaded.is_ours(kind, numbers[kind], message(kind, numbers[kind]))


@pytest.mark.parametrize(
    ("key", "size", "rule"),
    [
        (b"", 32, "C03"),
        (bytes(4), 32, "C03"),
        (bytes(6), 32, "C03"),
        (b"\x03" + bytes(4), 32, "C07"),
        (bytes(4) + b"\x01", 32, "C04"),
        (bytes(5), 0, "C04"),
        (bytes(5), 31, "C04"),
        (bytes(5), 17 * 32, "C04"),
    ],
)
def test_other_rows_are_refused(key: bytes, size: int, rule: str) -> None:
    with pytest.raises(Malformed) as wrong:
        SentLog.from_rows(SUITE, [(key, bytes(size))], DEFAULT_LIMITS)
    assert wrong.value.rule == rule
