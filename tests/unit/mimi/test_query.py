"""Identifier queries: what is looked up, who is found (MC-084)."""

from collections.abc import Collection

import pytest

from sabir.mimi.codepoints import QueryCode, SearchType
from sabir.mimi.query import (
    FOUND_MAX,
    NOT_FOUND,
    answer_of,
    is_findable,
    refusal_of,
)
from sabir.mimi.structs.query import (
    IdentifierRequest,
    QueryElement,
    decode_identifier_request,
)


def request_for(*elements: tuple[int, str]) -> IdentifierRequest:
    request = IdentifierRequest(
        elements=tuple(
            QueryElement(search_type=kind, value=value) for kind, value in elements
        )
    )
    return decode_identifier_request(request.encode())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SearchType.HANDLE, "im:alice"),
        (SearchType.NICK, "Alice"),
        (SearchType.EMAIL, "alice@a.example"),
        (SearchType.PHONE, "+4930123456"),
    ],
)
def test_mc_084_exact_types_are_looked_up(kind: SearchType, value: str) -> None:
    assert refusal_of(request_for((kind, value))) is None


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ([(5, "Ali")], QueryCode.FORBIDDEN),
        ([(6, "x")], QueryCode.FORBIDDEN),
        ([(7, "x")], QueryCode.UNSUPPORTED_FIELD),
        ([(8, "x")], QueryCode.UNSUPPORTED_FIELD),
        ([(99, "x")], QueryCode.UNSUPPORTED_FIELD),
        ([(1, "alice"), (5, "Ali"), (99, "x")], QueryCode.FORBIDDEN),
        ([(1, "alice"), (7, "x")], QueryCode.UNSUPPORTED_FIELD),
        ([(1, "")], QueryCode.NOT_FOUND),
        ([(2, "")], QueryCode.NOT_FOUND),
        ([(3, "alice")], QueryCode.NOT_FOUND),
        ([(3, "a@b@c")], QueryCode.NOT_FOUND),
        ([(4, "4930123456")], QueryCode.NOT_FOUND),
        ([(4, "+49 30 123456")], QueryCode.NOT_FOUND),
        ([(4, "+0123")], QueryCode.NOT_FOUND),
        ([(1, "alice"), (4, "1")], QueryCode.NOT_FOUND),
    ],
)
def test_mc_084_what_is_not_looked_up(
    elements: list[tuple[int, str]], code: QueryCode
) -> None:
    refusal = refusal_of(request_for(*elements))
    assert refusal is not None
    assert refusal.code is code
    assert (refusal.users, refusal.profiles) == ((), ())


@pytest.mark.parametrize(
    ("kind", "searchable", "verified", "found"),
    [
        (SearchType.HANDLE, True, False, True),
        (SearchType.NICK, True, False, True),
        (SearchType.HANDLE, False, True, False),
        (SearchType.EMAIL, True, False, False),
        (SearchType.EMAIL, True, True, True),
        (SearchType.EMAIL, False, True, False),
        (SearchType.PHONE, True, False, False),
        (SearchType.PHONE, True, True, True),
        (SearchType.VCARD_FIELD, True, True, False),
        (99, True, True, False),
    ],
)
def test_mc_084_who_may_be_found(
    kind: int, searchable: bool, verified: bool, found: bool
) -> None:
    assert is_findable(kind, searchable=searchable, verified=verified) is found


ALICE, BOB = "mimi://a.example/u/alice", "mimi://a.example/u/bob"
MANY = frozenset(f"mimi://a.example/u/{number}" for number in range(FOUND_MAX + 1))


@pytest.mark.parametrize(
    ("found", "code", "users"),
    [
        ([{ALICE}], QueryCode.SUCCESS, (ALICE,)),
        ([[BOB, ALICE]], QueryCode.SUCCESS, (ALICE, BOB)),
        ([{ALICE, BOB}, {BOB}], QueryCode.SUCCESS, (BOB,)),
        ([{ALICE}, {BOB}], QueryCode.NOT_FOUND, ()),
        ([{ALICE}, ()], QueryCode.NOT_FOUND, ()),
        ([set()], QueryCode.NOT_FOUND, ()),
        ([MANY], QueryCode.AMBIGUOUS, ()),
        ([MANY, sorted(MANY)[1:]], QueryCode.SUCCESS, tuple(sorted(MANY)[1:])),
    ],
)
def test_mc_084_all_conditions_hold_together(
    found: list[Collection[str]], code: QueryCode, users: tuple[str, ...]
) -> None:
    answer = answer_of(found)
    assert answer.code is code
    assert answer.users == users
    assert answer.profiles == ()


def test_mc_084_those_who_hide_look_like_nobody() -> None:
    assert answer_of([()]).encode() == NOT_FOUND.encode() == bytes.fromhex("01000000")
