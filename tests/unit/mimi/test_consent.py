"""Consent: precedence, what belongs where, who may speak for whom."""

import pytest

from sabir.mimi.codepoints import ConsentOperation
from sabir.mimi.consent import (
    ANY_ROOM,
    Consent,
    Decision,
    check_entry,
    decide,
    may_use_granted,
)
from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.consent import ConsentEntry

ALICE = "mimi://a.example/u/alice"
BOB = "mimi://b.example/u/bob"
TEA = "mimi://a.example/r/tea"
GOLF = "mimi://c.example/r/golf"


def entry(
    operation: int, room: str = "", *, requester: str = ALICE, target: str = BOB
) -> ConsentEntry:
    return ConsentEntry(
        operation=operation, requester=requester, target=target, room=room
    )


GRANT = entry(ConsentOperation.GRANT)
REVOKE = entry(ConsentOperation.REVOKE)
GRANT_TEA = entry(ConsentOperation.GRANT, TEA)
REVOKE_TEA = entry(ConsentOperation.REVOKE, TEA)
REQUEST = entry(ConsentOperation.REQUEST)
CANCEL = entry(ConsentOperation.CANCEL)
YES, NO, NOT_HERE = (
    Decision.ALLOWED,
    Decision.DENIED,
    Decision.DENIED_FOR_THIS_ROOM,
)


@pytest.mark.parametrize(
    ("history", "for_tea", "for_golf", "for_any"),
    [
        ([], NO, NO, NO),
        ([GRANT], YES, YES, YES),
        ([REVOKE], NO, NO, NO),
        ([GRANT_TEA], YES, NO, NO),
        ([REVOKE_TEA], NOT_HERE, NO, NO),
        ([GRANT, REVOKE_TEA], NOT_HERE, YES, YES),
        ([REVOKE_TEA, GRANT], NOT_HERE, YES, YES),
        ([REVOKE_TEA, GRANT_TEA], YES, NO, NO),
        ([GRANT_TEA, REVOKE_TEA], NOT_HERE, NO, NO),
        ([REVOKE, GRANT_TEA], NO, NO, NO),
        ([GRANT_TEA, REVOKE], NO, NO, NO),
        ([REVOKE, GRANT], YES, YES, YES),
        ([GRANT, REVOKE], NO, NO, NO),
        ([REVOKE, REVOKE_TEA], NO, NO, NO),
        ([REVOKE, REVOKE_TEA, GRANT], NOT_HERE, YES, YES),
        ([GRANT_TEA, GRANT], YES, YES, YES),
        ([REQUEST], NO, NO, NO),
        ([CANCEL], NO, NO, NO),
        ([GRANT, CANCEL, REQUEST], YES, YES, YES),
        ([REVOKE, CANCEL], NO, NO, NO),
    ],
)
def test_mc_081_the_first_match_decides(
    history: list[ConsentEntry],
    for_tea: Decision,
    for_golf: Decision,
    for_any: Decision,
) -> None:
    consent = Consent()
    for each in history:
        consent = consent.after(each)
    decisions = tuple(consent.decide(room) for room in (TEA, GOLF, ANY_ROOM))
    assert decisions == (for_tea, for_golf, for_any)


def test_mc_020_consent_for_one_room_serves_no_other() -> None:
    consent = Consent({TEA: True})
    asked = {"requester": ALICE, "target": BOB}
    assert decide(consent, room=TEA, **asked) is Decision.ALLOWED
    assert decide(consent, room=GOLF, **asked) is Decision.DENIED
    assert decide(consent, room=ANY_ROOM, **asked) is Decision.DENIED


def test_nobody_needs_their_own_consent() -> None:
    revoked = Consent({ANY_ROOM: False})
    found = decide(revoked, requester=BOB, target=BOB, room=TEA)
    assert found is Decision.ALLOWED


@pytest.mark.parametrize(
    ("said", "endpoint", "source", "ours"),
    [
        (REQUEST, Endpoint.REQUEST_CONSENT, "a.example", "b.example"),
        (CANCEL, Endpoint.REQUEST_CONSENT, "a.example", "b.example"),
        (GRANT_TEA, Endpoint.UPDATE_CONSENT, "b.example", "a.example"),
        (REVOKE, Endpoint.UPDATE_CONSENT, "b.example", "a.example"),
    ],
)
def test_mc_080_what_belongs_where(
    said: ConsentEntry, endpoint: Endpoint, source: str, ours: str
) -> None:
    check_entry(said, endpoint, source=source, ours=ours)
    for another in ({"source": ours, "ours": source}, {"source": "x", "ours": ours}):
        with pytest.raises(Problem) as caught:
            check_entry(said, endpoint, **another)
        assert caught.value.problem is ProblemCode.DOMAIN_NOT_AUTHORIZED
    with pytest.raises(Problem) as caught:
        check_entry(said, endpoint, source=source, ours="x.example")
    assert caught.value.problem is ProblemCode.DOMAIN_NOT_AUTHORIZED
    (elsewhere,) = {Endpoint.REQUEST_CONSENT, Endpoint.UPDATE_CONSENT} - {endpoint}
    with pytest.raises(Problem) as caught:
        check_entry(said, elsewhere, source=source, ours=ours)
    assert caught.value.problem is ProblemCode.WRONG_OPERATION


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (entry(99), ProblemCode.WRONG_OPERATION),
        (entry(1, BOB), ProblemCode.MALFORMED_BODY),
        (entry(1, target="mimi://b.example/r/x"), ProblemCode.MALFORMED_BODY),
    ],
)
def test_mc_080_what_is_no_entry(said: ConsentEntry, code: ProblemCode) -> None:
    with pytest.raises(Problem) as caught:
        check_entry(
            said, Endpoint.REQUEST_CONSENT, source="a.example", ours="b.example"
        )
    assert caught.value.problem is code


def test_mc_082_granted_key_packages_serve_where_we_are_the_hub() -> None:
    assert may_use_granted(GRANT, ours="a.example")
    assert may_use_granted(GRANT_TEA, ours="a.example")
    assert not may_use_granted(entry(ConsentOperation.GRANT, GOLF), ours="a.example")
