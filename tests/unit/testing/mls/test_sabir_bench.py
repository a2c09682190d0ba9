"""The benchmark's operations run, more than once, and change nothing for each other."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.testing.mls.floor import Floor
from sabir.testing.mls.populated import populated_group_info
from sabir.testing.mls.sabir_bench import SabirGroup, footprint

TEXT = b"A" * 200


@pytest.mark.parametrize("members", [2, 5])
def test_every_operation_runs_twice(members: int) -> None:
    populated = populated_group_info(SUITES[1], max(members - 2, 1))
    operations = SabirGroup(members, populated, TEXT).operations()
    for _ in range(2):
        for run in operations.values():
            assert run() > 0


def test_the_footprint_of_a_group_is_measured() -> None:
    found = footprint(4)
    assert 10_000 < found.group < 1_000_000
    assert 100 < found.message_state < 2_048


@pytest.mark.parametrize("members", [2, 9])
def test_the_floor_runs(members: int) -> None:
    floor = Floor(members, TEXT)
    for run in (
        floor.key_package,
        floor.create,
        floor.add,
        floor.join,
        floor.update,
        floor.update_populated,
        floor.process,
        floor.encrypt,
        floor.decrypt,
    ):
        run()
