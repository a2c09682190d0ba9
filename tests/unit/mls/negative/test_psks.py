"""PSKs in commits (N06): nothing stands in for one that we do not have or know."""

import ast
from pathlib import Path

import pytest

import sabir.mls
from sabir.mls.commit import ProposalReference
from sabir.mls.framing import PublicMessage, decode_message
from sabir.mls.group.group import MlsGroup
from sabir.mls.proposals import PreSharedKey
from sabir.mls.psk_ids import (
    ExternalPsk,
    PreSharedKeyID,
    ResumptionPsk,
    ResumptionUsage,
)
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import GROUP_ID, REGISTRY, World, process_and_merge
from tests.unit.mls.negative.judges import hub_believes, lacking, refuse

suites = pytest.mark.parametrize("own", [1, 2, 4], indirect=True)


def knowing(own: World, *names: str, **keys: bytes) -> None:
    for name in names:
        own.person(name).psks.keys |= {
            psk_id.encode(): key for psk_id, key in keys.items()
        }


def external(own: World, psk_id: bytes) -> ExternalPsk:
    return ExternalPsk(psk_id, own.env.random(own.suite.nh))


def committed(own: World, *psks: PreSharedKeyID) -> bytes:
    carol = own.fork("carol")
    return carol.commit(own.env, map(PreSharedKey, psks), as_public=True).commit


@suites
def test_n06_a_psk_that_is_not_at_hand_is_missing(own: World) -> None:
    knowing(own, "carol", one=b"first", two=b"second")
    knowing(own, "bob", one=b"first")
    message = committed(own, external(own, b"one"), external(own, b"two"))
    with lacking("PSK 1 of 2", own.groups["bob"]):
        own.groups["bob"].process(own.env, message)
    with lacking("PSK 0 of 2", own.groups["erin"]):
        own.groups["erin"].process(own.env, message)
    hub_believes(own, message)
    knowing(own, "bob", two=b"second")
    process_and_merge(own.env, own.groups["bob"], message)


@suites
def test_n06_a_psk_of_another_value_is_refused(own: World) -> None:
    knowing(own, "carol", one=b"first", two=b"second")
    message = committed(own, external(own, b"one"), external(own, b"two"))
    for wrong in ({"one": b"other", "two": b"second"}, {"one": b"", "two": b""}):
        knowing(own, "bob", "erin", **wrong)
        refuse(own, message, Rule.O03, hub=False)
    knowing(own, "bob", "erin", one=b"second", two=b"first")
    refuse(own, message, Rule.O03, hub=False)


@suites
def test_n06_psks_of_another_order_or_number_are_refused(own: World) -> None:
    """A commit whose signature is right, for a list other than its tag is for."""
    knowing(own, *own.groups, one=b"first", two=b"second")
    one, two = (external(own, psk_id) for psk_id in (b"one", b"two"))
    body = decode_message(committed(own, one, two), REGISTRY).body
    assert isinstance(body, PublicMessage)
    tag = body.message.confirmation_tag
    assert tag is not None
    carol = Forger(own, "carol")
    for psks in ((two, one), (one,), ()):
        items = [PreSharedKey(psk) for psk in psks]
        path = None if items else carol.path()
        refuse(own, carol.commit(*items, path=path, tag=tag), Rule.O03, hub=False)
    other = ExternalPsk(b"one", own.env.random(own.suite.nh))
    items = [PreSharedKey(other), PreSharedKey(two)]
    refuse(own, carol.commit(*items, tag=tag), Rule.O03, hub=False)


def test_n06_the_committer_needs_its_psks(own: World) -> None:
    carol = own.groups["carol"]
    with lacking("PSK 0 of 1", carol):
        carol.commit(own.env, [PreSharedKey(external(own, b"unknown"))])


def resumption(own: World, epoch: int, group_id: bytes = GROUP_ID) -> ResumptionPsk:
    usage = ResumptionUsage.APPLICATION
    return ResumptionPsk(usage, group_id, epoch, own.env.random(own.suite.nh))


@suites
def test_n06_a_resumption_psk_of_an_epoch_that_is_not_kept_is_missing(
    own: World,
) -> None:
    epoch = own.hub.context.epoch
    own.add("alice", "zoe")  # who was not there in that epoch
    message = committed(own, resumption(own, epoch))
    zoe = own.groups["zoe"]
    with lacking("PSK 0 of 1", zoe):
        zoe.process(own.env, message)
    process_and_merge(own.env, own.groups["bob"], message)
    with lacking("PSK 0 of 1"):
        committed(own, resumption(own, epoch + 100))
    with lacking("PSK 0 of 1"):
        committed(own, resumption(own, epoch, b"another group"))


@suites
def test_n06_a_resumption_psk_is_that_of_its_epoch(own: World) -> None:
    """Said to be of one epoch, with the tag for another's."""
    epoch = own.hub.context.epoch
    own.commit("alice")
    right = resumption(own, epoch)
    body = decode_message(committed(own, right), REGISTRY).body
    assert isinstance(body, PublicMessage)
    tag = body.message.confirmation_tag
    assert tag is not None
    carol = Forger(own, "carol")
    other = resumption(own, epoch + 1)
    refuse(own, carol.commit(PreSharedKey(other), tag=tag), Rule.O03, hub=False)


def test_q06_one_psk_by_value_and_by_reference_is_refused(own: World) -> None:
    knowing(own, *own.groups, one=b"first")
    proposal = PreSharedKey(external(own, b"one"))
    sent = own.groups["carol"].propose(own.env, proposal, as_public=True)
    own.deliver(sent.message, "carol")
    assert sent.reference is not None
    carol = Forger(own, "carol")
    items = (ProposalReference(sent.reference), proposal)
    refuse(own, carol.commit(*items), Rule.Q06)
    group: MlsGroup = own.fork("bob")
    with unchanged(group), violates(Rule.Q06):
        group.commit(own.env, [proposal], references=(sent.reference,))


def test_n06_no_default_stands_in_for_a_psk() -> None:
    """Keys come from a store's `find`; nobody gives `get` or `find` a default."""
    folder = Path(sabir.mls.__file__).parent
    sources = [folder / "psk.py", folder / "group" / "epoch.py"]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(
                node.func, ast.Attribute
            ):
                continue
            if node.func.attr in {"find", "get"}:
                assert len(node.args) == 1, f"{path.name}:{node.lineno}"
            assert node.func.attr != "setdefault", f"{path.name}:{node.lineno}"
