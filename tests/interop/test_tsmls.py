"""ts-mls against itself: the peer works, and what it cannot judge is as recorded.

A failure of a `limit` after an upgrade means that the list in
`sabir/testing/mls/peer/README.md` must change, and tests that lean on it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from sabir.crypto.suites import SUITES
from sabir.testing.mls.players import Add, Player, Remove, TsMlsPlayer
from sabir.testing.mls.populated import populated_group_info
from sabir.testing.mls.sabir_player import SabirPlayer
from sabir.testing.mls.tsmls import TsMls, TsMlsRefused

pytestmark = pytest.mark.interop

EXTENSIONS = {
    "type": "group_context_extensions",
    "extensions": [{"type": 3, "data": "000000"}],
}
COMPARED = (
    "epoch",
    "epoch_authenticator",
    "tree_hash",
    "confirmed_transcript_hash",
    "confirmation_tag",
    "extensions",
)


def _same(*views: dict[str, Any]) -> None:
    for key in COMPARED:
        assert len({str(view[key]) for view in views}) == 1, key


def _refused(call: Callable[[], object], *names: str) -> None:
    with pytest.raises(TsMlsRefused) as refused:
        call()
    assert not names or refused.value.name in names


def _add(*members: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "add", "key_package": member["message"]} for member in members]


class Table:
    """Clients of one suite around one group, told apart by the names of their state."""

    def __init__(self, peer: TsMls, suite: int = 1) -> None:
        self.peer = peer
        self.suite = suite
        self.groups: list[str] = []

    def client(self, name: str, **options: object) -> dict[str, Any]:
        return self.peer.call("keypackage", suite=self.suite, identity=name, **options)

    def begin(self, *names: str, **options: object) -> list[dict[str, Any]]:
        """Let the first create a group and add the others in one commit."""
        first, *others = (self.client(name, **options) for name in names)
        created = self.peer.call("create", kp=first["kp"], group_id=b"room")
        self.groups = [created["g"]]
        self.commit(created["g"], _add(*others), joiners=others)
        return [first, *others]

    def tell(self, sender: str | None, message: str, kind: str = "commit") -> None:
        for group in self.groups:
            if group != sender:
                got = self.peer.call("process", g=group, message=message)
                assert got["kind"] == kind

    def commit(
        self,
        sender: str,
        proposals: list[dict[str, Any]] | None = None,
        joiners: list[dict[str, Any]] | None = None,
        **options: object,
    ) -> dict[str, Any]:
        done = self.peer.call("commit", g=sender, proposals=proposals or [], **options)
        self.tell(sender, done["commit"])
        for joiner in joiners or []:
            joined = self.peer.call("join", kp=joiner["kp"], welcome=done["welcome"])
            self.groups.append(joined["g"])
        self.agree()
        return done

    def agree(self) -> None:
        _same(*(self.peer.call("info", g=group) for group in self.groups))

    def group_info(self, group: str, **options: object) -> str:
        made = self.peer.call("group_info", g=group, **options)
        return str(made["message"])


@pytest.mark.parametrize("suite", [1, 2, 3, 4, 5, 6, 7])
def test_every_operation_works_between_clients_of_the_peer(
    tsmls: TsMls, suite: int
) -> None:
    table = Table(tsmls, suite)
    call = tsmls.call
    table.begin("alice", "bob", "carol")
    alice, bob, carol = table.groups

    one, two = (
        call("encrypt", g=alice, data=text, aad="beef")["message"]
        for text in (b"one", b"two")
    )
    got = [call("process", g=bob, message=message) for message in (two, one)]
    assert [answer["data"] for answer in got] == [b"two".hex(), b"one".hex()]
    assert got[0]["aad"] == "beef"
    _refused(lambda: call("process", g=bob, message=one), "ValidationError")
    changed = one[:-2] + ("00" if one[-2:] != "00" else "01")
    _refused(lambda: call("process", g=carol, message=changed))
    loaded = call("load", suite=suite, state=call("save", g=carol)["state"])
    _same(call("info", g=carol), loaded)

    for public in (True, False):
        table.commit(bob, public=public)
    old_key = call("info", g=carol)["members"][2]["encryption_key"]
    update = call("propose", g=carol, proposal={"type": "update"})["message"]
    table.tell(carol, update, "proposal")
    table.commit(alice)
    assert call("info", g=alice)["members"][2]["encryption_key"] != old_key

    dave = table.client("dave")
    done = table.commit(bob, _add(dave), tree_in_welcome=False)
    _refused(lambda: call("join", kp=dave["kp"], welcome=done["welcome"]), "UsageError")
    tree = call("tree", g=bob)["tree"]
    joined = call("join", kp=dave["kp"], welcome=done["welcome"], tree=tree)
    table.groups.append(joined["g"])
    erin = table.client("erin")
    joined = call("external_join", kp=erin["kp"], group_info=table.group_info(carol))
    table.tell(None, joined["commit"])
    table.groups.append(joined["g"])
    table.agree()

    table.commit(alice)  # TS8
    again = call(
        "external_join",
        kp=erin["kp"],
        group_info=table.group_info(alice, tree=False),
        tree=call("tree", g=alice)["tree"],
        resync=True,
    )
    table.groups.remove(joined["g"])
    table.tell(None, again["commit"])
    table.groups.append(again["g"])
    table.agree()
    assert len(call("info", g=alice)["members"]) == 5

    frank = table.client("frank")
    info = table.group_info(alice)
    asked = call("external_add", kp=frank["kp"], group_info=info)["message"]
    table.tell(None, asked, "proposal")
    call("psk", psk_id="aa01", secret="11" * 32)
    table.commit(joined_dave := table.groups[3], [{"type": "psk", "psk_id": "aa01"}])
    table.groups.remove(bob)
    done = call("commit", g=alice, proposals=[{"type": "remove", "leaf": 1}])
    gone = call("process", g=bob, message=done["commit"])
    assert gone["status"] == "removedFromGroup"
    table.tell(alice, done["commit"])
    table.agree()

    secrets = {
        call("export", g=group, label="sabir test", context="01", length=40)["secret"]
        for group in table.groups
    }
    assert len(secrets) == 1

    carol_2, dave_2 = table.client("carol"), table.client("dave")
    branch = call(
        "branch",
        g=carol,
        kp=carol_2["kp"],
        members=[dave_2["message"]],
        group_id="b1",
    )
    joined = call(
        "join",
        kp=dave_2["kp"],
        welcome=branch["welcome"],
        tree=branch["tree"],
        resume=joined_dave,
    )
    _same(joined, branch)
    other = 3 if suite != 3 else 1
    reinit = {"type": "reinit", "group_id": "b2", "suite": other, "extensions": []}
    done = call("commit", g=carol, proposals=[reinit])
    call("process", g=joined_dave, message=done["commit"])
    _refused(lambda: call("encrypt", g=joined_dave, data="00"), "UsageError")
    moved = Table(tsmls, other)
    carol_3, dave_3 = moved.client("carol"), moved.client("dave")
    new = call("reinit_new", g=carol, kp=carol_3["kp"], members=[dave_3["message"]])
    joined = call(
        "join",
        kp=dave_3["kp"],
        welcome=new["welcome"],
        tree=new["tree"],
        resume=joined_dave,
    )
    _same(joined, new)


@pytest.fixture
def table(tsmls: TsMls) -> Table:
    table = Table(tsmls)
    table.begin("alice", "bob")
    return table


def test_limit_1_new_extensions_are_committed_without_a_path(table: Table) -> None:
    done = table.commit(table.groups[0], [EXTENSIONS])
    assert len(done["commit"]) // 2 < 300


def test_limit_2_new_extensions_with_a_path_are_unreadable(table: Table) -> None:
    alice, bob = table.groups
    carol = table.client("carol")
    table.commit(alice, _add(carol))
    proposals = [EXTENSIONS, {"type": "remove", "leaf": 2}]
    done = table.peer.call("commit", g=alice, proposals=proposals)
    _refused(
        lambda: table.peer.call("process", g=bob, message=done["commit"]), "CryptoError"
    )


def test_limit_3_extensions_are_not_cleared(table: Table) -> None:
    alice = table.groups[0]
    table.commit(alice, [EXTENSIONS])
    none = {"type": "group_context_extensions", "extensions": []}
    assert table.commit(alice, [none])["extensions"] != []


def test_limit_4_external_senders_are_read_as_one(tsmls: TsMls) -> None:
    sender = "20" + "00" * 32 + "0001" + "0161"
    vector = f"{len(sender) // 2:02x}" + sender
    alice = Table(tsmls).client("alice")

    def create(data: str) -> None:
        extensions = [{"type": 5, "data": data}]
        tsmls.call("create", kp=alice["kp"], group_id="02", extensions=extensions)

    _refused(lambda: create(vector), "CodecError")
    create(sender)


def test_limit_5_bodies_of_other_proposals_get_a_length(tsmls: TsMls) -> None:
    table = Table(tsmls)
    table.begin("alice", "bob", cap_proposals=[8, 10])
    alice, bob = table.groups
    proposal = {"type": "custom", "code": 10, "body": ""}
    sent = tsmls.call("propose", g=alice, proposal=proposal)["message"]
    proposal_self_remove_length = b"\x02\x00\x0a\x00"
    assert bytes.fromhex(sent).count(proposal_self_remove_length) == 1
    assert tsmls.call("process", g=bob, message=sent)["kind"] == "proposal"


def test_limit_6_proposals_that_nobody_supports_are_taken(table: Table) -> None:
    table.commit(table.groups[0], [{"type": "custom", "code": 0xF00D, "body": "00"}])


def test_limit_7_lifetimes_are_the_senders_business(table: Table) -> None:
    alice, bob = table.groups
    old = _add(table.client("old", lifetime=[1, 2]))
    _refused(
        lambda: table.peer.call("commit", g=alice, proposals=old), "ValidationError"
    )
    sent = table.peer.call("propose", g=alice, proposal=old[0])["message"]
    assert table.peer.call("process", g=bob, message=sent)["kind"] == "proposal"


def test_limit_8_some_valid_trees_are_refused(table: Table) -> None:
    """Node 3 lists leaf 3 as unmerged; the root, replaced later, does not."""
    alice, bob = table.groups
    carol, dave, erin, frank = (table.client(name) for name in "cdef")
    table.commit(alice, _add(carol), [carol])
    table.commit(alice)
    table.commit(bob, _add(dave), [dave])
    joined = table.peer.call(
        "external_join", kp=erin["kp"], group_info=table.group_info(alice)
    )
    table.tell(None, joined["commit"])
    table.groups.append(joined["g"])
    table.agree()

    def join_frank() -> None:
        info = table.group_info(alice)
        table.peer.call("external_join", kp=frank["kp"], group_info=info)

    _refused(join_frank, "ValidationError")
    table.commit(alice)
    join_frank()


def test_limit_9_little_is_kept_and_little_is_skipped(table: Table) -> None:
    alice, bob = table.groups
    sent = [table.peer.call("encrypt", g=alice, data="00") for _ in range(202)]

    def process(group: str, number: int) -> None:
        table.peer.call("process", g=group, message=sent[number]["message"])

    table.peer.call("fork", g=bob, into="other bob")
    _refused(lambda: process("other bob", 201), "ValidationError")
    process("other bob", 200)
    _refused(lambda: process("other bob", 0), "ValidationError")
    process("other bob", 199)


def test_limit_10_the_external_key_has_no_length(table: Table) -> None:
    alice = table.groups[0]
    ours = bytes.fromhex(table.group_info(alice, tree=False))
    theirs = bytes.fromhex(table.group_info(alice, as_is=True))
    start = ours.index(b"\0\x04\x21\x20") + 4
    key = ours[start : start + 32]
    assert b"\0\x04\x20" + key in theirs
    assert len(theirs) == len(ours) - 1


def test_limit_11_who_is_replaced_does_not_notice(table: Table) -> None:
    alice, bob = table.groups
    proposals = [{"type": "remove", "leaf": 1}, *_add(table.client("carol"))]
    done = table.peer.call("commit", g=alice, proposals=proposals)
    _refused(
        lambda: table.peer.call("process", g=bob, message=done["commit"]),
        "InternalError",
    )


@pytest.mark.parametrize(("suite", "octets"), [(2, 33), (5, 67), (7, 49)])
def test_limit_12_signature_keys_are_compressed(
    tsmls: TsMls, suite: int, octets: int
) -> None:
    table = Table(tsmls, suite)
    theirs = bytes.fromhex(table.client("bob", as_is=True)["signature_key"])
    ours = bytes.fromhex(table.client("bob")["signature_key"])
    assert (len(theirs), len(ours)) == (octets, 2 * octets - 1)
    assert ours[0] == 4


def test_limit_13_a_path_without_the_root_is_misread(tsmls: TsMls) -> None:
    """Who is left beside the committer understands it, if it is one of ours."""

    def left_beside(last: Player) -> tuple[SabirPlayer, bytes]:
        """Let leaf 2 remove leaves 0 and 1, so that its path is node 5 alone."""
        founder = SabirPlayer("founder", 1)
        second, third = (SabirPlayer(name, 1) for name in ("second", "third"))
        founder.create(b"halves")
        adds = [Add(each.key_package()) for each in (second, third, last)]
        made = founder.commit(tuple(adds), public=True, path=False, tree_inside=True)
        assert made.welcome is not None
        for each in (second, third, last):
            each.join(made.welcome, made.tree)
        changes = (Remove(0), Remove(1))
        done = third.commit(changes, public=True, path=True, tree_inside=True)
        return third, done.commit

    ours = SabirPlayer("last", 1)
    third, commit = left_beside(ours)
    assert ours.process(commit) is None
    assert ours.view() == third.view()
    theirs = TsMlsPlayer("last", 1, tsmls)
    _, commit = left_beside(theirs)
    _refused(lambda: theirs.process(commit), "CryptoVerificationError")


@pytest.mark.parametrize("members", [1, 2, 5, 8, 33])
def test_a_group_made_without_its_members_is_joined_and_followed(
    tsmls: TsMls, members: int
) -> None:
    table = Table(tsmls)
    info = populated_group_info(SUITES[1], members).hex()
    for name in ("alice", "bob", "carol"):
        client = table.client(name)
        joined = tsmls.call("external_join", kp=client["kp"], group_info=info)
        table.tell(None, joined["commit"])
        table.groups.append(joined["g"])
        table.agree()
        info = table.group_info(joined["g"])
    assert len(table.commit(table.groups[0])["members"]) == members + 3
