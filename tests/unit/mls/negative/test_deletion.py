"""What was used is gone (N02, deletion): from memory that is reached, and the store.

Every secret is watched while it is derived. Afterwards each is either one that the
group has to keep, by name, or can no longer be reached from the group and is in no
row of its state. This says nothing about copies that Python and OpenSSL leave behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import pytest

from sabir.crypto.labels import decrypt_with_label, expand_with_label
from sabir.crypto.suites import CipherSuite
from sabir.mls.group.group import MlsGroup, accept, stage_welcome
from sabir.mls.key_schedule import EpochSecrets
from sabir.mls.proposals import Add, PreSharedKey, Remove
from sabir.mls.psk_ids import ExternalPsk
from sabir.mls.ratchet import step_to
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.tree_math import child_towards, left, root
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.snapshots import holds, octets_in
from sabir.testing.mls.world import COMPONENT, World, process_and_merge
from tests.unit.mls.negative.judges import refuse

CAROL = 2
APPLICATION = RatchetKind.APPLICATION

suites = pytest.mark.parametrize("own", [1, 2, 4], indirect=True)


def everything(group: MlsGroup) -> frozenset[bytes]:
    """Return all octets of a group, in memory and in its store."""
    return octets_in(group) | octets_in(group.save())


def gone(group: MlsGroup, secrets: dict[str, bytes]) -> None:
    """Check that none of these secrets is anywhere."""
    there = everything(group)
    assert not [name for name, octets in secrets.items() if holds(octets, there)]


# ---- message keys


def way_down(own: World, name: str, leaf: int) -> dict[str, bytes]:
    """Return all that a leaf's first message is derived from, and what follows."""
    epoch = own.fork(name).state.epoch
    assert epoch is not None
    suite, count = own.suite, epoch.public.tree.leaf_count
    ((_, secret),) = [row for row in epoch.secret_tree.rows() if len(row[0]) == 5]
    node = root(count)
    found = {f"node {node}": secret}
    while node & 1:
        below = child_towards(node, leaf)
        side = b"left" if below == left(node) else b"right"
        secret = expand_with_label(suite, secret, b"tree", side, suite.nh)
        node = below
        found[f"node {node}"] = secret
    peeked = epoch.secret_tree.peek(leaf, APPLICATION, 0)
    assert peeked.step is not None
    found["first ratchet secret"] = peeked.step.before.secret
    found["key"] = peeked.message_key.key
    found["nonce"] = peeked.message_key.nonce
    return found


@suites
def test_n02_a_message_s_key_and_all_above_it_are_gone(own: World) -> None:
    own.commit("alice")
    secrets = way_down(own, "bob", CAROL)
    bob, carol = own.groups["bob"], own.groups["carol"]
    assert holds(secrets[f"node {root(8)}"], everything(bob)), "the watch works"
    sent = carol.encrypt(own.env, b"hello").message
    gone(carol, secrets)
    bob.process(own.env, sent)
    gone(bob, secrets)
    refuse(own, sent, Rule.D02, members=False, hub=False)
    own.groups["bob"] = own.fork("bob")
    gone(own.groups["bob"], secrets)


@suites
def test_n02_a_skipped_generation_leaves_key_and_nonce_and_no_ratchet(
    own: World,
) -> None:
    own.commit("alice")
    epoch = own.fork("bob").state.epoch
    assert epoch is not None
    opening = epoch.secret_tree.peek(CAROL, APPLICATION, 0)
    assert opening.step is not None
    head = opening.step.before
    ratchets = {
        f"ratchet secret {index}": step_to(own.suite, head, index, 0).after.secret
        for index in range(4)
    }
    bob, carol = own.groups["bob"], own.groups["carol"]
    sent = [carol.encrypt(own.env, b"%d" % index).message for index in range(5)]
    bob.process(own.env, sent[4])
    gone(bob, ratchets)
    kept = epoch.secret_tree.peek(CAROL, APPLICATION, 2).message_key
    assert holds(kept.key, everything(bob)), "it may still come"
    bob.process(own.env, sent[2])
    gone(bob, {"key": kept.key, "nonce": kept.nonce})


# ---- epochs


@dataclass
class Watch:
    """What was derived, by the label it was derived with."""

    derived: dict[bytes, str] = field(default_factory=dict)

    def note(self, octets: bytes, what: str) -> None:
        self.derived.setdefault(octets, what)

    def new_since(self, before: frozenset[bytes]) -> dict[str, bytes]:
        """Return what was not there before it was derived, each under its own name."""
        return {
            f"{index}: {what}": octets
            for index, (octets, what) in enumerate(self.derived.items())
            if octets not in before
        }

    def still_in(self, group: MlsGroup, allowed: dict[bytes, str]) -> set[str]:
        """Return what is still there and need not be."""
        there = everything(group)
        return {
            what
            for octets, what in self.derived.items()
            if octets not in allowed and holds(octets, there)
        }


@contextmanager
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Note every output of the key schedule, and every path secret."""
    watch = Watch()
    expand, extract = CipherSuite.expand, CipherSuite.extract
    decrypt = decrypt_with_label

    def expanding(suite: CipherSuite, secret: bytes, info: bytes, length: int) -> bytes:
        octets = expand(suite, secret, info, length)
        watch.note(octets, f"expand {info[:24]!r}")
        return octets

    def extracting(suite: CipherSuite, salt: bytes, ikm: bytes) -> bytes:
        octets = extract(suite, salt, ikm)
        watch.note(octets, "extract")
        return octets

    def decrypting(*parts: object) -> bytes:
        octets = decrypt(*parts)  # type: ignore[arg-type]  # passed on
        watch.note(octets, "path secret")
        return octets

    with monkeypatch.context() as patch:
        patch.setattr(CipherSuite, "expand", expanding)
        patch.setattr(CipherSuite, "extract", extracting)
        patch.setattr("sabir.mls.treekem.decrypt_with_label", decrypting)
        yield watch


def kept_by_name(group: MlsGroup) -> dict[bytes, str]:
    """Return what a group has to keep, and for what."""
    state = group.state
    epoch = state.epoch
    assert epoch is not None
    kept = {
        getattr(epoch.secrets, each.name).reveal(): each.name
        for each in fields(EpochSecrets)
    }
    kept |= {
        key.reveal(): f"private key of node {node}" for node, key in epoch.keys.items()
    }
    kept |= {secret.reveal(): "resumption" for _, secret in state.resumption}
    kept |= {past.sender_data.reveal(): "past sender data" for past in state.past}
    trees = [epoch.secret_tree, *(past.secret_tree for past in state.past)]
    for tree in trees:
        for key, value in tree.rows():
            if key[0] == 1:
                kept[value] = "edge of a secret tree"
            elif key[0] == 2:
                kept[value[8:]] = "ratchet"
    exporter = epoch.exporter_tree._frontier.nodes
    kept |= dict.fromkeys(exporter.values(), "edge of the exporter tree")
    return kept


def changes(own: World) -> list[list[Add | Remove | PreSharedKey]]:
    for name in (*own.groups, "zoe"):
        own.person(name).psks.keys[b"id"] = b"a key that all know"
    package, _ = own.person("zoe").key_package()
    psk = ExternalPsk(b"id", own.env.random(own.suite.nh))
    return [[], [PreSharedKey(psk)], [Add(package)], [Remove(3)]]


@suites
def test_after_a_commit_only_what_is_needed_is_left(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """joiner_secret, commit_secret, path secrets, psk_secret, epoch_secret: gone.

    For who receives and who commits, with and without path.
    """
    for change in changes(own):
        carol = own.groups["carol"]
        with watching(monkeypatch) as watch:
            pending = carol.commit(own.env, change, as_public=True)
            carol.merge_pending(own.env)
            commit = pending.commit
            del pending
            for name in ("alice", "bob", "dave", "erin"):
                if name in own.groups:
                    process_and_merge(own.env, own.groups[name], commit)
        assert len(watch.derived) >= 15, "the watch works"
        for name in ("bob", "carol", "erin"):
            group = own.groups[name]
            assert not watch.still_in(group, kept_by_name(group)), name
        staged = own.hub.process(own.env, commit)
        own.hub.merge(staged)  # type: ignore[arg-type]  # a commit
        for name in [
            name for name in own.groups if own.groups[name].state.epoch is None
        ]:
            del own.groups[name]


@suites
def test_who_joins_keeps_only_what_is_needed(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, secrets = own.person("zoe").key_package()
    pending = own.commit("alice", [Add(package)], force_path=True)
    assert pending.welcome is not None
    client = own.person("zoe").client
    with watching(monkeypatch) as watch:
        zoe = accept(
            client, stage_welcome(client, pending.welcome, [secrets], member_of=())
        )
    assert len(watch.derived) >= 15, "the watch works"
    assert not watch.still_in(zoe, kept_by_name(zoe))
    gone(zoe, {"init key": secrets.init_key.reveal()})


@suites
def test_secrets_of_an_epoch_go_with_it(own: World) -> None:
    """Messages of three past epochs can be read, and nothing else be done."""
    for name in ("bob", "carol"):
        group = own.groups[name]
        epoch = group.state.epoch
        assert epoch is not None
        old = {
            each.name: getattr(epoch.secrets, each.name).reveal()
            for each in fields(EpochSecrets)
        }
        kept = {"sender_data", "resumption"}
        keys = {f"key of {node}": key.reveal() for node, key in epoch.keys.items()}
        del epoch
        own.commit("alice")
        own.commit(name)
        gone(group, {what: octets for what, octets in old.items() if what not in kept})
        gone(group, keys)
        for _ in range(3):
            own.commit("alice")
        gone(group, {"sender_data": old["sender_data"]})
        for _ in range(16):
            own.commit("alice")
        gone(group, old)


@suites
def test_a_commit_that_was_cleared_leaves_nothing(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    carol = own.groups["carol"]
    before = everything(carol)
    with watching(monkeypatch) as watch:
        carol.commit(own.env, as_public=True)
        carol.clear_pending()
    new = watch.new_since(before)
    assert len(new) >= 15, "the watch works"
    gone(carol, new)


@suites
def test_a_commit_that_was_not_merged_leaves_nothing(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = own.groups["carol"].commit(own.env, as_public=True).commit
    bob = own.groups["bob"]
    before = everything(bob)
    with watching(monkeypatch) as watch:
        bob.process(own.env, commit)
    new = watch.new_since(before)
    assert len(new) >= 15, "the watch works"
    gone(bob, new)


def test_an_update_that_was_not_covered_leaves_nothing(own: World) -> None:
    carol = own.groups["carol"]
    sent = carol.propose_update(own.env, as_public=True)
    own.deliver(sent.message, "carol")
    (update,) = carol.state.own_updates.values()
    key = update.encryption_key.reveal()
    del update
    own.commit("alice", references=())
    gone(carol, {"leaf key": key})


@suites
def test_an_exported_component_secret_is_gone(own: World) -> None:
    carol = own.groups["carol"]
    epoch = carol.state.epoch
    assert epoch is not None
    top = dict(epoch.exporter_tree._frontier.nodes)
    secret = carol.safe_export(COMPONENT)
    gone(carol, {"component's": secret.reveal()})
    gone(carol, {f"node {node}": octets for node, octets in top.items()})
