"""Rules D, replay and reorder (N02): each message is opened once, and none burnt."""

import time
import tracemalloc
from random import Random

import pytest

from sabir.mls.codepoints import ContentType, WireFormat
from sabir.mls.commit import Commit
from sabir.mls.framing import PrivateMessage, decode_message
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.process import ApplicationMessage, OwnEcho, StagedCommit
from sabir.mls.limits import Limits
from sabir.mls.proposals import Remove
from sabir.mls.public_group import ProposalReceived
from sabir.mls.ratchet import GENERATION_MAX
from sabir.mls.secret_tree import RatchetKind, SecretTree
from sabir.mls.validation.rules import Rule
from sabir.mls.waiting import Waiting
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.keys import next_key
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import REGISTRY, World, process_and_merge
from tests.unit.mls.negative.judges import lacking, misused, refuse

PRIVATE = WireFormat.PRIVATE_MESSAGE
APPLICATION = RatchetKind.APPLICATION
HANDSHAKE = RatchetKind.HANDSHAKE
CAROL, DAVE = 2, 3


def heard(own: World, name: str, message: bytes) -> bytes:
    found = own.groups[name].process(own.env, message)
    assert isinstance(found, ApplicationMessage)
    return found.data


def reload(own: World, name: str) -> None:
    """Let a member stop and start: its group comes from the store."""
    own.groups[name] = own.fork(name)


suites = pytest.mark.parametrize("own", [1, 2, 4], indirect=True)

# ---- replay


@suites
def test_n02_a_private_message_is_opened_once(own: World) -> None:
    sent = own.groups["carol"].encrypt(own.env, b"hello").message
    own.deliver(sent, "carol")
    refuse(own, sent, Rule.D02, hub=False)
    for name in ("bob", "erin"):
        reload(own, name)
    refuse(own, sent, Rule.D02, hub=False)


@suites
def test_n02_a_replay_from_a_past_epoch_is_refused(own: World) -> None:
    sent = own.groups["carol"].encrypt(own.env, b"hello").message
    own.deliver(sent, "carol")
    own.commit("alice")
    refuse(own, sent, Rule.D02, hub=False)
    for name in ("bob", "erin"):
        reload(own, name)
    refuse(own, sent, Rule.D02, hub=False)


@suites
def test_a_proposal_is_accepted_once(own: World) -> None:
    """A private one; in the clear it is the same again and changes nothing."""
    private = own.groups["carol"].propose(own.env, Remove(DAVE)).message
    own.deliver(private, "carol")
    refuse(own, private, Rule.D02, hub=False)
    public = own.groups["erin"].propose(own.env, Remove(DAVE), as_public=True)
    own.deliver(public.message, "erin")
    with unchanged(own.groups["bob"], own.hub):
        again = own.groups["bob"].process(own.env, public.message)
        own.hub.process(own.env, public.message)
    assert isinstance(again, ProposalReceived)
    assert again.reference == public.reference
    own.hub.pending = Waiting(own.hub.services.limits)  # it could not see the first one
    own.commit("alice", references=())
    refuse(own, public.message, Rule.F02)
    refuse(own, private, Rule.F02, hub=False)


@suites
def test_a_commit_is_accepted_once(own: World) -> None:
    public = own.commit("carol").commit
    refuse(own, public, Rule.F02)
    pending = own.groups["carol"].commit(own.env)
    own.groups["carol"].merge_pending(own.env)
    for name in ("alice", "bob", "dave", "erin"):
        process_and_merge(own.env, own.groups[name], pending.commit)
    refuse(own, pending.commit, Rule.F02, hub=False)


def test_a_private_commit_that_was_staged_twice_is_merged_once(own: World) -> None:
    pending = own.groups["carol"].commit(own.env)
    bob = own.groups["bob"]
    one, two = (bob.process(own.env, pending.commit) for _ in range(2))
    assert isinstance(one, StagedCommit)
    assert isinstance(two, StagedCommit)
    bob.merge(own.env, one)
    with misused("another epoch or group", bob):
        bob.merge(own.env, two)


# ---- echoes


@suites
def test_our_own_messages_come_back_as_echoes(own: World) -> None:
    carol = own.groups["carol"]
    sent = {
        ContentType.APPLICATION: carol.encrypt(own.env, b"hello").message,
        ContentType.PROPOSAL: carol.propose(own.env, Remove(DAVE)).message,
    }
    public = carol.propose(own.env, Remove(4), as_public=True)
    pending = carol.commit(own.env, references=(), as_public=True)
    for kind, message in (
        *sent.items(),
        (ContentType.PROPOSAL, public.message),
        (ContentType.COMMIT, pending.commit),
    ):
        with unchanged(carol):
            found = carol.process(own.env, message)
        assert isinstance(found, OwnEcho)
        assert found.content_type is kind


@suites
def test_nobody_makes_us_merge_our_commit(own: World) -> None:
    """Any member can claim our leaf and a generation that we have used.

    If that were our commit's echo, we would enter an epoch that nobody else is in.
    """
    carol, mallory = own.groups["carol"], Forger(own, "bob")
    key = mallory.epoch.secret_tree.peek(CAROL, HANDSHAKE, 0).message_key
    pending = carol.commit(own.env)
    forged = mallory.authenticated(
        mallory.content(Commit(())), form=PRIVATE, signature=b""
    )
    with unchanged(carol, carol.state), violates(Rule.D02):
        carol.process(own.env, mallory.seal(forged, CAROL, key))
    assert carol.pending is pending


def test_a_commit_of_ours_that_was_cleared_is_missing(own: World) -> None:
    carol = own.groups["carol"]
    for as_public in (True, False):
        pending = carol.commit(own.env, as_public=as_public)
        carol.clear_pending()
        with lacking("that was cleared", carol):
            carol.process(own.env, pending.commit)


# ---- reorder


@suites
@pytest.mark.parametrize("seed", range(3))
def test_messages_in_any_order_are_opened_once_each(own: World, seed: int) -> None:
    dice = Random(seed)
    names = ("alice", "carol", "dave")
    sent = []
    for index in range(100):
        name = names[index % 3]
        sent.append(own.groups[name].encrypt(own.env, b"%d" % index).message)
    order = list(range(100))
    dice.shuffle(order)
    for place, index in enumerate(order):
        if place == 50:
            reload(own, "bob")
        assert heard(own, "bob", sent[index]) == b"%d" % index
    with unchanged(own.groups["bob"]):
        for message in sent:
            with violates(Rule.D02):
                own.groups["bob"].process(own.env, message)


def test_messages_around_a_commit_are_opened(own: World) -> None:
    before = own.groups["carol"].encrypt(own.env, b"before").message
    own.commit("alice")
    after = own.groups["carol"].encrypt(own.env, b"after").message
    assert heard(own, "bob", after) == b"after"
    assert heard(own, "bob", before) == b"before"
    assert heard(own, "erin", before) == b"before"


def test_handshakes_have_one_order(own: World) -> None:
    alice = own.groups["alice"]
    first = alice.commit(own.env, as_public=True)
    alice.merge_pending(own.env)
    second = alice.commit(own.env, as_public=True)
    bob = own.groups["bob"]
    with lacking("1 ahead", bob, own.hub):
        bob.process(own.env, second.commit)
    with lacking("1 ahead", own.hub):
        own.hub.process(own.env, second.commit)
    process_and_merge(own.env, bob, first.commit)
    process_and_merge(own.env, bob, second.commit)


# ---- forged messages burn nothing (D03)


@suites
def test_d03_a_forged_message_burns_no_generation(own: World) -> None:
    """Neither one that does not open nor one that another member signed."""
    genuine = own.groups["alice"].encrypt(own.env, b"hello").message
    carol = Forger(own, "carol")
    for generation in (0, 1, 5):
        framed = carol.content(b"forged")
        message = carol.authenticated(framed, form=PRIVATE, signature=b"signature")
        refuse(
            own,
            carol.private(message, leaf=0, generation=generation),
            Rule.F07,
            hub=False,
        )
    body = decode_message(genuine, REGISTRY).body
    assert isinstance(body, PrivateMessage)
    flipped = genuine[:-1] + bytes([genuine[-1] ^ 1])
    refuse(own, flipped, Rule.F11, hub=False)
    own.deliver(genuine, "alice")


# ---- generations


def skip_to(own: World, generation: int) -> bytes:
    """Make a message of carol that claims this generation, by her own keys."""
    carol = Forger(own, "carol")
    message = carol.authenticated(carol.content(b"far"), form=PRIVATE)
    return carol.private(message, generation=generation)


@suites
def test_d01_a_thousand_ahead_is_followed_and_no_more(own: World) -> None:
    far = skip_to(own, 1_000)
    carol = Forger(own, "carol")
    key = carol.epoch.secret_tree.peek(CAROL, APPLICATION, 3).message_key
    message = carol.authenticated(carol.content(b"too far"), form=PRIVATE)
    for generation in (1_001, 0xFFFF_FFFF):
        claimed = carol.seal(message, CAROL, key, generation=generation)
        refuse(own, claimed, Rule.D01, hub=False)
    assert heard(own, "bob", far) == b"far"


def test_d01_refusing_costs_nothing(own: World) -> None:
    """No derivation: well under the time of the thousand that would be allowed."""
    bob = own.groups["bob"]
    epoch = bob.state.epoch
    assert epoch is not None
    times = []
    with unchanged(bob):
        for _ in range(20):
            start = time.perf_counter()
            with violates(Rule.D01):
                epoch.secret_tree.peek(CAROL, APPLICATION, 0xFFFF_FFFF)
            times.append(time.perf_counter() - start)
    assert min(times) < 0.001


def test_d02_skipped_keys_are_bounded_and_the_oldest_go_first() -> None:
    limits = Limits(skipped_keys_per_sender_max=10, skipped_keys_per_group_max=15)
    own = World(limits=limits)
    carol, dave = own.groups["carol"], own.groups["dave"]
    carols = [carol.encrypt(own.env, b"%d" % index).message for index in range(21)]
    bob = own.groups["bob"]
    assert heard(own, "bob", carols[20]) == b"20"
    for index in range(10):
        with unchanged(bob), violates(Rule.D02):
            bob.process(own.env, carols[index])
    daves = [dave.encrypt(own.env, b"%d" % index).message for index in range(11)]
    assert heard(own, "bob", daves[10]) == b"10"
    for index in range(10, 15):  # the group's oldest made room
        with unchanged(bob), violates(Rule.D02):
            bob.process(own.env, carols[index])
    for index in range(15, 20):
        assert heard(own, "bob", carols[index]) == b"%d" % index
    for index in range(10):
        assert heard(own, "bob", daves[index]) == b"%d" % index


def test_d04_own_messages_of_an_epoch_are_limited() -> None:
    own = World(limits=Limits(messages_per_epoch_max=3))
    carol = own.groups["carol"]
    for _ in range(3):
        carol.encrypt(own.env, b"hello")
    with misused("D04", carol):
        carol.encrypt(own.env, b"hello")
    with misused("D04", carol):
        carol.propose(own.env, Remove(DAVE))
    own.commit("carol")
    carol.encrypt(own.env, b"hello")


def test_d05_generations_do_not_wrap(own: World) -> None:
    carol = own.fork("carol")
    epoch = carol.state.epoch
    assert epoch is not None
    tree = epoch.secret_tree
    next_key(tree, CAROL, APPLICATION)
    rows = dict(tree.rows())
    head = next(
        key for key, value in rows.items() if len(value) == 8 + 32 and key[-1] == 1
    )
    rows[head] = (GENERATION_MAX + 1).to_bytes(8, "big") + rows[head][8:]
    limits = Limits(messages_per_epoch_max=1 << 40)
    full = SecretTree.from_rows(own.suite, 8, rows.items(), limits)
    with misused("D05", full):
        next_key(full, CAROL, APPLICATION)
    with unchanged(full), violates(Rule.D02):
        full.peek(CAROL, APPLICATION, GENERATION_MAX)


# ---- memory


def test_a_sender_cannot_make_us_keep_much(own: World) -> None:
    """Every thousand ahead, as often as it likes: 256 keys are kept."""
    bob = own.groups["bob"]
    carol: MlsGroup = own.groups["carol"]
    far = []
    for index in range(2_001):
        sent = carol.encrypt(own.env, b"").message
        if index % 1_000 == 0:
            far.append(sent)
    tracemalloc.start()
    for message in far:
        bob.process(own.env, message)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 256 * 1_024
    epoch = bob.state.epoch
    assert epoch is not None
    assert sum(1 for key, _ in epoch.secret_tree.rows() if key[0] == 3) == 256
