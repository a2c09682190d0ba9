"""The machine in the store, and whose KeyPackages a handshake asks about."""

from dataclasses import replace

import pytest

from sabir.mimi.hub.memory import MAGIC, read_memory
from sabir.mimi.hub.room import HubRoom, refs_wanted
from sabir.mls.errors import MlsMisuse
from sabir.mls.proposals import SelfRemove
from sabir.testing.mimi.hub_harness import HubHarness, listed
from tests.unit.mimi.hub.scenes import ANN, BEN, CAL, ORDINARY, of_four


def busy() -> HubHarness:
    """Return a room of which everything is in use."""
    hub = of_four()
    hub.join(BEN, resync=hub.leaf(BEN))
    hub.propose(CAL, SelfRemove())
    hub.propose(ANN, listed(added=[("e.example:eve", ORDINARY)]))
    hub.player(f"{BEN}/2")
    assert hub.see(f"{BEN}/2") is not None
    return hub


def test_a_room_survives_its_store() -> None:
    hub = busy()
    memory = hub.room.memory
    assert memory.bundles
    assert memory.permits
    assert memory.resyncs
    octets = hub.room.encode()
    again = HubRoom.load(hub.keys, octets, hub.room.last_at)
    assert again.encode() == octets
    assert again.view == hub.room.view
    assert again.memory.bundles == memory.bundles
    assert again.memory.permits == memory.permits
    assert again.memory.resyncs == memory.resyncs


def test_a_damaged_room_says_so() -> None:
    octets = busy().room.encode()
    version = octets[:4] + bytes((0, 9)) + octets[6:]
    for wrong in (b"", b"SBRX" + octets[4:], version, octets[:-1], octets + b"?"):
        with pytest.raises(MlsMisuse):
            read_memory(wrong)
    assert octets.startswith(MAGIC)


def test_a_phase_that_does_not_exist_is_damage() -> None:
    hub = HubHarness.of(ANN)
    octets = bytearray(hub.room.encode())
    # The last octets of a quiet room: its phase and two empty vectors.
    assert octets[-3:] == bytes(3)
    octets[-3] = 7
    with pytest.raises(MlsMisuse, match="restore the database"):
        read_memory(bytes(octets))


def test_a_provider_is_told_which_key_packages_to_look_up() -> None:
    hub = of_four()
    eve = "e.example:eve"
    bundle = hub.committed(ANN, listed(added=[(eve, ORDINARY)]), hub.package(eve))
    assert refs_wanted(bundle) == tuple(hub[eve].stock)
    assert refs_wanted(replace(bundle, welcome=None)) == ()
    hub[ANN].member.clear_pending()
    assert refs_wanted(hub.proposed(CAL, SelfRemove())) == ()


def test_a_role_that_nobody_may_take_is_a_fact_of_the_room() -> None:
    hub = busy()
    assert hub.room.view.is_listed(hub.player("e.example:eve").user)
    assert not hub.room.view.is_active(hub[CAL].user)
    assert hub.room.view.is_active(hub[BEN].user)
