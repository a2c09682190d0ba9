"""MIMI.md 4.4: what leaves and key packages of ours say."""

from sabir.mimi.client_settings import ROOM_PROPOSALS, leaf_extensions, room_services
from sabir.mimi.components.framing import OWN_MEDIA_TYPES
from sabir.mls.codepoints import GREASE
from sabir.mls.components import dictionary_of, listed_components, media_types_of
from sabir.testing.mls.seeded import SeededEnv
from tests.unit.mimi.world import make_client


def test_our_key_packages_say_what_rooms_ask_for() -> None:
    env = SeededEnv(11)
    package, _ = make_client(env, "ann").key_package(env, suite=1)
    capabilities = package.leaf_node.capabilities
    grease = set(capabilities.extensions) & GREASE
    assert len(grease) == 1
    assert set(capabilities.versions) == {1}
    assert set(capabilities.cipher_suites) - grease == {1}
    assert set(capabilities.extensions) - grease == {6}
    assert set(capabilities.proposals) - grease == {8, 10}
    assert set(capabilities.credentials) - grease == {1}
    lifetime = package.leaf_node.lifetime
    assert lifetime is not None
    assert lifetime.not_before == env.now() - 3600
    assert lifetime.not_after == env.now() + 28 * 86_400


def test_our_leaves_list_what_we_understand_and_one_thing_that_nobody_does() -> None:
    for variant in range(20):
        extensions = leaf_extensions(variant)
        dictionary = dictionary_of(extensions)
        assert dictionary is not None
        numbers = [number for number, _ in dictionary.entries]
        assert numbers[:3] == [1, 2, 3]
        assert numbers[3] in GREASE
        assert numbers[3] <= 0x7A7A
        assert listed_components(extensions, 2) == (0x20,)
        assert media_types_of(extensions) == OWN_MEDIA_TYPES
    assert listed_components(leaf_extensions(), 1) == (
        *(1, 2, 3, 0x20, 0x21, 0x22, 0x23, 0x25, 0x27, 0x28, 0x2C, 0x30),
    )


def test_rooms_know_no_app_ephemeral() -> None:
    assert 9 not in ROOM_PROPOSALS.types
    assert room_services().proposals is ROOM_PROPOSALS
    assert not room_services().judge_lifetimes
    assert room_services(judge_lifetimes=True).judge_lifetimes
