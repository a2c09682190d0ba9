"""A join that waits for its answer: into the store, out of it, and on."""

from dataclasses import replace

import pytest

from sabir.crypto.suites import SUITES
from sabir.errors import Error
from sabir.mls.errors import MlsMisuse
from sabir.mls.framing import Sender
from sabir.mls.group.external import PendingExternalJoin
from sabir.mls.group.group import MlsGroup, accept, stage_external_join
from sabir.mls.group.state import HEADER, JOIN, MAGIC, Rows, row_key
from sabir.mls.proposal_list import Proposed
from sabir.mls.proposals import PreSharedKey, Proposal
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.tree_options import TreePresence
from sabir.testing.mls.clients import PskTable
from sabir.testing.mls.snapshots import unchanged
from sabir.wire.tls import uint16
from tests.unit.mls.group.world import Room, client, write


def psks() -> PskTable:
    table = PskTable()
    table.learn(b"id", b"value")
    return table


def staged(suite: int = 1, **how: object) -> tuple[Room, PendingExternalJoin]:
    """Let ben come back, while cat leaves, by a commit with a PSK."""
    table = psks()
    room = Room.of(
        "ann", "ben", "cat", suite=suite, make=lambda n, s: client(n, s, psks=table)
    )
    leaving = room["cat"].propose_self_remove(room.env).message
    room.hear(leaving, "cat")
    join = stage_external_join(
        room.env,
        room.clients["ben"],
        room["ann"].group_info(with_tree=True),
        member_of=(b"room",),
        resync=1,
        self_removes=[leaving],
        proposals=[PreSharedKey(ExternalPsk(b"id", bytes(SUITES[suite].nh)))],
    )
    return room, join


def deliver(room: Room, join: PendingExternalJoin) -> None:
    """Let the others follow, and ben be in."""
    del room.groups["ben"]
    room.hear(join.commit)
    del room.groups["cat"]
    room.groups["ben"] = accept(room.clients["ben"], join)


def named(item: Proposed) -> tuple[Proposal, Sender, bytes | None]:
    return item.proposal, item.sender, item.reference


@pytest.mark.parametrize("suite", SUITES)
def test_a_join_survives_a_crash_before_its_answer(suite: int) -> None:
    room, join = staged(suite)
    with unchanged(join.state):
        rows = join.save()
    loaded = PendingExternalJoin.load(room.clients["ben"], rows)
    assert loaded.save() == rows
    assert loaded.commit == join.commit
    assert list(map(named, loaded.effects.proposals)) == list(
        map(named, join.effects.proposals)
    )
    same = replace(loaded.effects, proposals=join.effects.proposals)
    assert same == join.effects
    whole = loaded.group_info(with_tree=True)
    assert whole.group_context == join.group_info(with_tree=True).group_context
    part = loaded.partial_group_info(TreePresence.NONE)
    assert part.extensions == join.partial_group_info(TreePresence.NONE).extensions
    deliver(room, loaded)
    room.stores.pop("ben")
    room.check()
    room.say("ben", b"back")
    room.say("ann", b"welcome")
    room.commit("ben")


@pytest.mark.parametrize("crash", [True, False])
def test_the_first_delta_makes_a_group_of_the_rows_of_a_join(crash: bool) -> None:
    room, join = staged()
    rows = join.save()
    if crash:
        join = PendingExternalJoin.load(room.clients["ben"], rows)
    deliver(room, join)
    ben = room["ben"]
    ben.process(room.env, room["ann"].encrypt(room.env, b"welcome").message)
    ben.encrypt(room.env, b"thanks")
    delta = ben.delta()
    assert delta[row_key(JOIN)] is None
    write(rows, dict(delta))
    ben.saved(delta)
    assert rows == ben.save()
    room.stores["ben"] = rows
    room.restart("ben")
    room.say("ben", b"and again")


def test_a_join_is_no_group_and_a_group_is_no_join() -> None:
    room, join = staged()
    with pytest.raises(MlsMisuse, match=r"PendingExternalJoin\.load"):
        MlsGroup.load(room.clients["ben"], join.save())
    with pytest.raises(MlsMisuse, match=r"MlsGroup\.load"):
        PendingExternalJoin.load(room.clients["ben"], room["ben"].save())


def test_a_join_into_no_epoch_or_with_a_commit_is_refused() -> None:
    room, join = staged()
    row = {row_key(JOIN): join.save()[row_key(JOIN)]}
    with pytest.raises(MlsMisuse, match="damaged"):
        PendingExternalJoin.load(room.clients["ben"], _pending(room, "ben") | row)
    room.commit("ann")
    assert room["cat"].state.epoch is None
    with pytest.raises(MlsMisuse, match="damaged"):
        PendingExternalJoin.load(room.clients["cat"], room["cat"].save() | row)


def _pending(room: Room, name: str) -> Rows:
    room[name].commit(room.env)
    rows = room[name].save()
    room[name].clear_pending()
    return rows


def test_damaged_rows_are_refused() -> None:
    room, join = staged()
    rows = join.save()
    for key, value in rows.items():
        for damaged in (value[:-1], value + b"\x00", b""):
            with pytest.raises(Error) as wrong:
                PendingExternalJoin.load(room.clients["ben"], rows | {key: damaged})
            assert isinstance(wrong.value, MlsMisuse), key
    header = rows[row_key(HEADER)]
    future = MAGIC + uint16(99) + header[len(MAGIC) + 2 :]
    with pytest.raises(MlsMisuse, match="format 99"):
        PendingExternalJoin.load(room.clients["ben"], rows | {row_key(HEADER): future})
