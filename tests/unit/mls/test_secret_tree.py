import gc
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mls.codepoints import ContentType
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.limits import DEFAULT_LIMITS, Limits
from sabir.mls.ratchet import GENERATION_MAX, MessageKey
from sabir.mls.secret_tree import RatchetKind, SecretTree, read_secret_tree
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.keys import next_key
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole

SUITE = SUITES[1]
ENCRYPTION = b"\x0b" * 32
APPLICATION, HANDSHAKE = RatchetKind.APPLICATION, RatchetKind.HANDSHAKE


def new(leaf_count: int = 8, limits: Limits = DEFAULT_LIMITS) -> SecretTree:
    return SecretTree.new(SUITE, leaf_count, Secret(ENCRYPTION), limits)


def sent(leaf: int, count: int, kind: RatchetKind = APPLICATION) -> list[MessageKey]:
    """The keys that a member uses for its first messages."""
    tree = new()
    return [next_key(tree, leaf, kind) for _ in range(count)]


def same(one: MessageKey, two: MessageKey) -> bool:
    return (one.generation, one.key, one.nonce) == (two.generation, two.key, two.nonce)


def receive(tree: SecretTree, leaf: int, generation: int) -> MessageKey:
    peeked = tree.peek(leaf, APPLICATION, generation)
    message_key = peeked.message_key
    tree.consume(peeked)
    return message_key


def refused(tree: SecretTree, rule: Rule, leaf: int, generation: int) -> None:
    before = tree.encode()
    with pytest.raises(MlsInvalid) as raised:
        tree.peek(leaf, APPLICATION, generation)
    assert raised.value.rule == rule.name
    assert tree.encode() == before


# ---- reading


def test_a_type_of_content_has_its_ratchet() -> None:
    kinds = [RatchetKind.of(content) for content in ContentType]
    assert kinds == [APPLICATION, HANDSHAKE, HANDSHAKE]


@given(st.permutations(range(12)), st.integers(0, 7))
def test_messages_in_any_order_are_read_once_each(order: list[int], leaf: int) -> None:
    keys = sent(leaf, 12)
    tree = new()
    for generation in order:
        assert same(receive(tree, leaf, generation), keys[generation])
        refused(tree, Rule.D02, leaf, generation)
    for generation in order:
        refused(tree, Rule.D02, leaf, generation)


def test_peeking_changes_nothing() -> None:
    """D03: a message that does not open, or has a wrong signature, burns no key."""
    tree = new()
    receive(tree, 3, 4)
    tree.saved()
    before = tree.encode()
    for leaf, generation in ((3, 2), (3, 5), (3, 9), (5, 0), (5, 7)):
        for _ in range(3):
            tree.peek(leaf, APPLICATION, generation)
            tree.peek(leaf, HANDSHAKE, generation)
    assert tree.encode() == before
    assert tree.changes() == {}


def test_both_ratchets_of_a_leaf_go_their_own_way() -> None:
    tree = new()
    application, handshake = sent(2, 3), sent(2, 3, HANDSHAKE)
    assert application[0].key != handshake[0].key
    for generation in range(3):
        peeked = tree.peek(2, HANDSHAKE, generation)
        assert same(peeked.message_key, handshake[generation])
        tree.consume(peeked)
        assert same(receive(tree, 2, generation), application[generation])


def test_there_is_no_key_for_a_leaf_outside_the_tree() -> None:
    refused(new(8), Rule.F03, 8, 0)
    refused(new(8), Rule.F03, 0xFFFF_FFFF, 0)


def test_a_tree_of_one_leaf_has_keys() -> None:
    tree, other = new(1), new(1)
    assert same(next_key(tree, 0, APPLICATION), receive(other, 0, 0))


# ---- limits


def test_a_thousand_generations_ahead_are_followed_and_one_more_is_not() -> None:
    tree = new()
    refused(tree, Rule.D01, 3, 1_001)
    refused(tree, Rule.D01, 3, GENERATION_MAX)
    receive(tree, 3, 1_000)
    refused(tree, Rule.D01, 3, 1_001 + 1_001)
    receive(tree, 3, 1_001 + 1_000)


def test_too_far_ahead_is_refused_before_anything_is_derived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = new()

    def never(*_: object) -> bytes:
        raise AssertionError

    monkeypatch.setattr(CipherSuite, "expand", never)
    refused(tree, Rule.D01, 3, GENERATION_MAX)


def test_of_those_passed_over_only_the_newest_are_kept() -> None:
    tree = new(limits=Limits(skipped_keys_per_sender_max=3))
    keys = sent(3, 11)
    receive(tree, 3, 6)
    for generation in range(3):
        refused(tree, Rule.D02, 3, generation)
    for generation in (4, 3):
        assert same(receive(tree, 3, generation), keys[generation])
    receive(tree, 3, 9)  # 7 and 8 join 5
    receive(tree, 3, 11)  # 10 drops it
    refused(tree, Rule.D02, 3, 5)
    for generation in (7, 8, 10):
        receive(tree, 3, generation)


def test_the_group_keeps_so_many_in_all_and_drops_the_oldest() -> None:
    tree = new(limits=Limits(skipped_keys_per_group_max=4))
    receive(tree, 1, 3)
    receive(tree, 2, 2)
    refused(tree, Rule.D02, 1, 0)
    for leaf, generation in ((1, 1), (1, 2), (2, 0), (2, 1)):
        receive(tree, leaf, generation)


# ---- two steps, with others between


def test_a_key_can_be_consumed_once() -> None:
    tree = new()
    peeked = tree.peek(3, APPLICATION, 0)
    tree.consume(peeked)
    with pytest.raises(MlsMisuse):
        tree.consume(peeked)
    with pytest.raises(MlsMisuse):
        _ = peeked.message_key


@pytest.mark.parametrize("generation", [0, 2])
def test_of_two_peeks_at_one_key_the_second_is_a_replay(generation: int) -> None:
    tree = new()
    receive(tree, 3, 1)
    one, two = (tree.peek(3, APPLICATION, generation) for _ in range(2))
    tree.consume(one)
    before = tree.encode()
    with pytest.raises(MlsInvalid) as raised:
        tree.consume(two)
    assert raised.value.rule == Rule.D02.name
    assert tree.encode() == before


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=8))
def test_the_order_of_consuming_need_not_be_that_of_peeking(
    messages: list[tuple[int, int]],
) -> None:
    messages = list(dict.fromkeys(messages))
    tree = new(4)
    peeked = [tree.peek(leaf, APPLICATION, number) for leaf, number in messages]
    for each in reversed(peeked):
        tree.consume(each)
    for leaf, number in messages:
        refused(tree, Rule.D02, leaf, number)
    for leaf in range(4):
        for number in range(7):
            if (leaf, number) not in messages:
                receive(tree, leaf, number)


def test_a_ratchet_that_has_moved_since_is_followed() -> None:
    tree, keys = new(), sent(3, 6)
    receive(tree, 3, 0)
    far, near = tree.peek(3, APPLICATION, 5), tree.peek(3, APPLICATION, 2)
    tree.consume(near)
    tree.consume(far)
    for generation in (2, 5):
        refused(tree, Rule.D02, 3, generation)
    for generation in (1, 3, 4):
        assert same(receive(tree, 3, generation), keys[generation])


# ---- sending


def test_our_own_generations_are_used_in_turn_and_never_twice() -> None:
    tree = new()
    keys = [next_key(tree, 5, APPLICATION) for _ in range(4)]
    assert [message_key.generation for message_key in keys] == [0, 1, 2, 3]
    assert len({message_key.key for message_key in keys}) == 4
    for generation in range(4):
        refused(tree, Rule.D02, 5, generation)


def test_an_epoch_has_room_for_so_many_messages_of_ours() -> None:
    """D04, over both ratchets."""
    tree = new(limits=Limits(messages_per_epoch_max=3))
    next_key(tree, 5, APPLICATION)
    next_key(tree, 5, HANDSHAKE)
    next_key(tree, 5, APPLICATION)
    before = tree.encode()
    for kind in RatchetKind:
        with pytest.raises(MlsMisuse, match="D04"):
            next_key(tree, 5, kind)
    assert tree.encode() == before


def test_generations_end() -> None:
    """D05."""
    tree = new(limits=Limits(messages_per_epoch_max=1 << 40))
    next_key(tree, 5, APPLICATION)
    rows = dict(tree.rows())
    head = next(key for key in rows if key[0] == 2 and key[5] == APPLICATION)
    rows[head] = GENERATION_MAX.to_bytes(8, "big") + rows[head][8:]
    limits = Limits(messages_per_epoch_max=1 << 40)
    tree = SecretTree.from_rows(SUITE, 8, rows.items(), limits)
    assert next_key(tree, 5, APPLICATION).generation == GENERATION_MAX
    tree = read_whole(tree.encode(), lambda r: read_secret_tree(r, SUITE, limits))
    with pytest.raises(MlsMisuse, match="D05"):
        next_key(tree, 5, APPLICATION)
    next_key(tree, 5, HANDSHAKE)


# ---- deletion


def reachable(start: object) -> Iterator[bytes]:
    """Every bytes object that can be reached from an object."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, (type, ModuleType)) or callable(each):
            continue
        seen.add(id(each))
        if isinstance(each, bytes):
            yield each
        waiting += gc.get_referents(each)


@pytest.mark.parametrize("suite", [SUITES[number] for number in (1, 2, 4)])
def test_nothing_reachable_gives_a_consumed_key(suite: CipherSuite) -> None:
    """N02: key, nonce, ratchet secrets and tree nodes above are gone."""
    encryption = bytes(range(suite.nh))
    tree = SecretTree.new(suite, 8, Secret(encryption), DEFAULT_LIMITS)
    opening = tree.peek(3, APPLICATION, 2).opening
    assert opening is not None
    consumed = {encryption, opening.descent.secret, opening.heads[1].secret}
    for generation in (2, 0, 3):
        peeked = tree.peek(3, APPLICATION, generation)
        consumed |= {peeked.message_key.key, peeked.message_key.nonce}
        if peeked.step is not None:
            consumed.add(peeked.step.before.secret)
        assert consumed & set(reachable([tree, peeked]))
        tree.consume(peeked)
        assert not consumed & set(reachable([tree, peeked]))
        stored = tree.encode()
        assert not [secret for secret in consumed if secret in stored]
    assert opening.heads[0].secret in set(reachable(tree)), "handshakes go on"


def test_no_secret_is_in_the_text_of_a_key() -> None:
    peeked = new().peek(3, APPLICATION, 2)
    assert repr(peeked.message_key) == "MessageKey(generation=2)"
    assert "\\x" not in repr(peeked)


# ---- the store


def read(reader: Reader) -> SecretTree:
    return read_secret_tree(reader, SUITE, DEFAULT_LIMITS)


Messages = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(RatchetKind), st.integers(0, 9)),
    max_size=20,
)


def try_to_receive(
    tree: SecretTree, message: tuple[int, RatchetKind, int]
) -> bytes | None:
    try:
        peeked = tree.peek(*message)
    except MlsInvalid:
        return None
    key = peeked.message_key.key
    tree.consume(peeked)
    return key


@given(Messages, Messages)
@example(before=[(0, HANDSHAKE, 7), (0, HANDSHAKE, 6)], after=[(0, HANDSHAKE, 9)])
@settings(max_examples=50)
def test_a_stored_tree_goes_on_like_the_one_in_memory(
    before: list[tuple[int, RatchetKind, int]],
    after: list[tuple[int, RatchetKind, int]],
) -> None:
    tree = new()
    for message in before:
        try_to_receive(tree, message)
    loaded = read_whole(tree.encode(), read)
    assert loaded.encode() == tree.encode()
    assert loaded.changes() == {}
    for message in after:
        assert try_to_receive(loaded, message) == try_to_receive(tree, message)
    assert set(loaded.rows()) == set(tree.rows())


@given(st.lists(Messages, max_size=5))
@settings(max_examples=50)
def test_the_changes_bring_the_store_up_to_date(
    batches: list[list[tuple[int, RatchetKind, int]]],
) -> None:
    limits = Limits(skipped_keys_per_sender_max=4, skipped_keys_per_group_max=10)
    tree = new(limits=limits)
    store: dict[bytes, bytes] = {}
    for batch in [[], *batches]:
        for message in batch:
            try_to_receive(tree, message)
        for key, value in tree.changes().items():
            if value is None:
                del store[key]  # only what the store has is deleted
            else:
                store[key] = value
        tree.saved()
        assert store == dict(tree.rows())
        assert tree.changes() == {}


def test_what_is_not_saved_does_not_pile_up() -> None:
    tree = new()
    for generation in range(1, 600, 2):
        receive(tree, 3, generation)
        receive(tree, 3, generation - 1)
    assert len(tree.changes()) == len(list(tree.rows()))


@pytest.mark.parametrize("leaf_count", [1, 8, 1_024, 16_384])
def test_sending_writes_less_than_two_kilobytes(leaf_count: int) -> None:
    """G6, whatever the size of the group."""
    tree = new(leaf_count)
    tree.saved()
    for _ in range(3):
        next_key(tree, 0, APPLICATION)
        changes = tree.changes().items()
        assert sum(len(key) + len(value or b"") for key, value in changes) < 2_048
        tree.saved()


@pytest.mark.parametrize(
    "row",
    [
        (b"", b""),
        (b"\x00\x00\x00\x00\x01", bytes(32)),
        (b"\x04\x00\x00\x00\x01", bytes(32)),
        (b"\x01\x00\x00\x00\x01", bytes(31)),
        (b"\x01\x00\x00\x00\x01", bytes(33)),
        (b"\x01\x00\x00\x00\x01\x00", bytes(32)),
        (b"\x02\x00\x00\x00\x01\x02", bytes(40)),
        (b"\x02\x00\x00\x00\x01\x01", bytes(39)),
        (b"\x03\x00\x00\x00\x01\x01", bytes(36)),
        (b"\x03\x00\x00\x00\x01\x01\x00\x00\x00\x00", bytes(37)),
    ],
)
def test_a_broken_row_is_noticed(row: tuple[bytes, bytes]) -> None:
    with pytest.raises(Malformed):
        SecretTree.from_rows(SUITE, 8, [row], DEFAULT_LIMITS)
