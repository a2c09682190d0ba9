import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.mimi.components.participants import (
    Participant,
    ParticipantList,
    ParticipantListUpdate,
    apply_updates,
    decode_participant_list,
    decode_participant_list_update,
)
from sabir.wire.errors import Malformed

ANN, BEN, CAL, DAN = (
    f"mimi://a.example/u/{name}" for name in ("ann", "ben", "cal", "dan")
)
THREE = ParticipantList((Participant(ANN, 4), Participant(BEN, 2), Participant(CAL, 2)))


def refuses(rule: str) -> "pytest.RaisesExc[Malformed]":
    return pytest.raises(Malformed, match=rule)


def test_mc_014_the_golden_update() -> None:
    update = ParticipantListUpdate(
        changed=((2, 1),),
        removed=(0,),
        added=(Participant("mimi://d.example/u/diana", 4),),
    )
    golden = bytes.fromhex(
        "08 00000002 00000001 04 00000000 1d 18"
        "6d696d693a2f2f642e6578616d706c652f752f6469616e61 00000004"
    )
    assert update.encode() == golden
    assert decode_participant_list_update(golden) == update


def test_a_list_finds_users_by_their_exact_octets() -> None:
    assert THREE.role_of(BEN) == 2
    assert THREE.role_of(BEN.upper()) == 0
    assert THREE.index_of(CAL) == 2
    assert THREE.index_of(DAN) is None
    assert THREE.users == {ANN, BEN, CAL}
    assert decode_participant_list(THREE.encode()) == THREE


@pytest.mark.parametrize(
    ("rule", "octets"),
    [
        ("MIMI-001", ParticipantList((Participant("https://a.example", 2),)).encode()),
        ("MIMI-101", bytes.fromhex("0d 08 6d696d693a2f2fc3 00000002")),
        ("MIMI-102", ParticipantList((Participant(ANN, 0),)).encode()),
        (
            "MIMI-103",
            ParticipantList((Participant(ANN, 2), Participant(ANN, 3))).encode(),
        ),
        ("C05", THREE.encode() + b"\0"),
        ("C03", THREE.encode()[:-1]),
    ],
)
def test_what_is_no_participant_list(rule: str, octets: bytes) -> None:
    with refuses(rule):
        decode_participant_list(octets)


def test_an_identifier_is_limited() -> None:
    fits = ParticipantList((Participant(f"mimi://a.example/{'x' * 495}", 2),))
    assert decode_participant_list(fits.encode()) == fits
    with refuses("513 octets, limit 512"):
        decode_participant_list(
            ParticipantList((Participant(f"mimi://a.example/{'x' * 496}", 2),)).encode()
        )


@pytest.mark.parametrize(
    "update",
    [
        ParticipantListUpdate(changed=((0, 0),)),
        ParticipantListUpdate(added=(Participant(DAN, 0),)),
    ],
)
def test_nobody_gets_role_0(update: ParticipantListUpdate) -> None:
    with refuses("MIMI-102"):
        decode_participant_list_update(update.encode())


@pytest.mark.parametrize(
    ("rule", "updates"),
    [
        ("MIMI-104", [ParticipantListUpdate(changed=((3, 2),))]),
        ("MIMI-104", [ParticipantListUpdate(removed=(3,))]),
        ("MIMI-105", [ParticipantListUpdate(changed=((1, 3), (1, 4)))]),
        ("MIMI-105", [ParticipantListUpdate(removed=(1, 1))]),
        ("MIMI-105", [ParticipantListUpdate(((1, 3),), (1,))]),
        (
            "MIMI-105",
            [ParticipantListUpdate(removed=(1,)), ParticipantListUpdate(((1, 3),))],
        ),
        ("MIMI-105", [ParticipantListUpdate((), (1,), (Participant(BEN, 2),))]),
        (
            "MIMI-105",
            [ParticipantListUpdate(added=(Participant(DAN, 2), Participant(DAN, 3)))],
        ),
        ("MIMI-106", [ParticipantListUpdate(added=(Participant(BEN, 2),))]),
    ],
)
def test_mc_038_a_user_is_touched_once(
    rule: str, updates: list[ParticipantListUpdate]
) -> None:
    with refuses(rule):
        apply_updates(THREE, updates)


def test_mc_039_changes_then_removals_then_additions_by_the_same_list() -> None:
    updates = [
        ParticipantListUpdate(removed=(0,), added=(Participant(DAN, 2),)),
        ParticipantListUpdate(changed=((2, 3),), removed=(1,)),
    ]
    assert apply_updates(THREE, updates) == ParticipantList(
        (Participant(CAL, 3), Participant(DAN, 2))
    )


@st.composite
def batches(draw: st.DrawFn) -> tuple[ParticipantList, list[ParticipantListUpdate]]:
    """A list, and updates that touch each user at most once."""
    size = draw(st.integers(0, 8))
    current = ParticipantList(
        tuple(Participant(f"mimi://a.example/u/{index}", 2) for index in range(size))
    )
    fates = draw(st.lists(st.sampled_from("kcr"), min_size=size, max_size=size))
    count = draw(st.integers(1, 3))
    owner = draw(st.lists(st.integers(0, count - 1), min_size=size, max_size=size))
    updates = [
        ParticipantListUpdate(
            tuple((i, 9) for i in range(size) if fates[i] == "c" and owner[i] == each),
            tuple(i for i in range(size) if fates[i] == "r" and owner[i] == each),
            tuple(
                Participant(f"mimi://b.example/u/{each}-{n}", 3)
                for n in range(draw(st.integers(0, 2)))
            ),
        )
        for each in range(count)
    ]
    return current, updates


@given(batches())
def test_mc_039_the_outcome_is_that_of_each_users_own_fate(
    batch: tuple[ParticipantList, list[ParticipantListUpdate]],
) -> None:
    current, updates = batch
    changed = {index for update in updates for index, _ in update.changed}
    removed = {index for update in updates for index in update.removed}
    expected = [
        (participant.user, 9 if index in changed else participant.role)
        for index, participant in enumerate(current.participants)
        if index not in removed
    ]
    expected += [(each.user, each.role) for update in updates for each in update.added]
    after = apply_updates(current, updates)
    assert [(each.user, each.role) for each in after.participants] == expected
    assert decode_participant_list(after.encode()) == after
    for update in updates:
        assert decode_participant_list_update(update.encode()) == update


@given(batches())
def test_mc_039_the_order_of_bundles_matters_to_additions_only(
    batch: tuple[ParticipantList, list[ParticipantListUpdate]],
) -> None:
    current, updates = batch
    there, back = (apply_updates(current, order) for order in (updates, updates[::-1]))
    assert set(there.participants) == set(back.participants)
