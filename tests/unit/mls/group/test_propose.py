"""What we propose ourselves is what others accept, by the strictest of them."""

import pytest

from sabir.mls.proposals import Add, Remove
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from tests.unit.mls.group.world import Room, client


@pytest.mark.parametrize("as_public", [False, True])
def test_nobody_proposes_a_key_package_outside_its_lifetime(as_public: bool) -> None:
    """The tolerance for wrong clocks is for what comes from others (7.3)."""
    room = Room.of("ann", "ben")
    ann, ben = room["ann"], room["ben"]
    package, _ = client("zoe").key_package(room.env, suite=1, lifetime_s=60)
    fresh, add = room.env.time, Add(package)
    epoch = ann.state.epoch
    assert epoch is not None
    for now in (fresh + 61, fresh - 3_601):
        room.env.time = now
        with unchanged(ann), violates(Rule.L05):
            ann.propose(room.env, add, as_public=as_public)
        with unchanged(ann), violates(Rule.L05):
            ann.commit(room.env, [add], as_public=as_public)
    assert epoch.secret_tree.generation(0, RatchetKind.HANDSHAKE) == 0
    room.env.time = fresh + 60
    sent = ann.propose(room.env, add, as_public=as_public).message
    room.env.time = fresh + 61
    ben.process(room.env, sent)  # it was right when it was sent
    assert not ben.commit(room.env, [Remove(0)]).effects.added
