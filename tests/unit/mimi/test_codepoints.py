from sabir.mimi.codepoints import Capability, ComponentId
from sabir.mls.codepoints import GREASE


def test_all_capabilities_of_the_draft_have_their_numbers() -> None:
    assert len(Capability) == 77
    families = [number >> 8 for number in Capability]
    assert {family: families.count(family) for family in families} == {
        0: 18,
        1: 18,
        2: 12,
        3: 9,
        4: 8,
        5: 6,
        6: 6,
    }


def test_components_of_rooms_are_in_a_row_and_ours_are_private() -> None:
    named = [number for number in ComponentId if 0x20 <= number < 0x100]
    assert named == [*range(0x20, 0x31)]
    own = [number for number in ComponentId if number > 0x100]
    assert all(0xFB00 <= number <= 0xFB3F for number in own)
    assert not set(ComponentId) & GREASE
