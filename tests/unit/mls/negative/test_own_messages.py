"""What comes back from our own leaf: an echo, a forgery, or news of an old state."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from sabir.errors import Error
from sabir.mls.codepoints import ContentType, WireFormat
from sabir.mls.errors import MlsRolledBack
from sabir.mls.framing import (
    AuthenticatedContent,
    PrivateMessage,
    PublicMessage,
    decode_message,
    encode_message,
)
from sabir.mls.group.group import MlsGroup, accept, stage_external_join
from sabir.mls.group.messages import open_message, who_sent
from sabir.mls.group.process import OwnEcho, StagedCommit
from sabir.mls.limits import Limits
from sabir.mls.proposals import Remove
from sabir.mls.secret_tree import RatchetKind
from sabir.mls.validation.rules import Rule
from sabir.mls.waiting import Waiting
from sabir.testing.mls.forger import Forger
from sabir.testing.mls.rules import violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import GROUP_ID, REGISTRY, World
from tests.unit.mls.negative.judges import lacking

APPLICATION = RatchetKind.APPLICATION
CAROL, DAVE = 2, 3
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

suites = pytest.mark.parametrize("own", [1, 2, 4], indirect=True)


def echo(own: World, message: bytes) -> OwnEcho:
    carol = own.groups["carol"]
    with unchanged(carol):
        found = carol.process(own.env, message)
    assert isinstance(found, OwnEcho)
    return found


def opened(own: World, message: bytes) -> AuthenticatedContent:
    """Return what carol signed, as every member sees it."""
    bob = own.fork("bob")
    body, epoch = decode_message(message, REGISTRY).body, bob.state.epoch
    assert epoch is not None
    if isinstance(body, PublicMessage):
        return body.message
    assert isinstance(body, PrivateMessage)
    services = bob.public.services
    return open_message(epoch, services, body, who_sent(epoch, body)).message


# ---- echoes


@suites
def test_an_echo_says_what_it_is_of_and_may_come_again(own: World) -> None:
    carol = own.groups["carol"]
    carol.encrypt(own.env, b"first")
    sent = [
        (carol.encrypt(own.env, b"hello", aad=b"a").message, 1, ContentType.APPLICATION)
    ]
    epoch = carol.epoch
    proposed = carol.propose(own.env, Remove(DAVE), aad=b"a").message
    sent.append((proposed, 0, ContentType.PROPOSAL))
    public: list[tuple[bytes, ContentType]] = []
    proposed = carol.propose(own.env, Remove(4), as_public=True, aad=b"a").message
    public.append((proposed, ContentType.PROPOSAL))
    for as_public in (True, False):
        made = carol.commit(own.env, references=(), as_public=as_public, aad=b"a")
        if as_public:
            assert echo(own, made.commit) == OwnEcho(
                ContentType.COMMIT, epoch, None, b"a"
            )
            carol.clear_pending()
        else:
            sent.append((made.commit, 1, ContentType.COMMIT))
    for _ in range(2):
        for message, generation, kind in sent:
            assert echo(own, message) == OwnEcho(kind, epoch, generation, b"a")
        for message, kind in public:
            assert echo(own, message) == OwnEcho(kind, epoch, None, b"a")
        own.groups["carol"] = own.fork("carol")  # and after a restart


def test_an_echo_may_come_after_the_epoch(own: World) -> None:
    sent = own.groups["carol"].encrypt(own.env, b"hello").message
    own.commit("alice")
    own.groups["carol"] = own.fork("carol")
    assert echo(own, sent).epoch == own.groups["carol"].epoch - 1


def test_a_proposal_of_ours_that_waits_no_more_is_an_echo(own: World) -> None:
    carol = own.groups["carol"]
    sent = carol.propose(own.env, Remove(DAVE), as_public=True).message
    carol.public.pending = Waiting(carol.public.services.limits)
    assert echo(own, sent).content_type is ContentType.PROPOSAL


def test_so_many_messages_are_known_again_and_no_more() -> None:
    own = World(limits=Limits(own_messages_known_max=16))
    carol = own.groups["carol"]
    sent = [carol.encrypt(own.env, b"").message for _ in range(33)]
    for message in sent[16:]:
        echo(own, message)
    for message in sent[:16]:
        with lacking("of ours", carol):
            carol.process(own.env, message)


# ---- forgeries


@suites
def test_the_hub_cannot_change_what_comes_back(own: World) -> None:
    """Sender data are bound to the head of the ciphertext alone."""
    carol = own.groups["carol"]
    sent = carol.encrypt(own.env, b"hello", aad=b"said").message
    with unchanged(carol):
        for place in range(len(sent)):
            flipped = sent[:place] + bytes([sent[place] ^ 1]) + sent[place + 1 :]
            with pytest.raises(Error) as wrong:
                carol.process(own.env, flipped)
            assert not isinstance(wrong.value, MlsRolledBack)
    for changed in (sent.replace(b"said", b"lied"), sent[:-1] + bytes([sent[-1] ^ 1])):
        with unchanged(carol), violates(Rule.D02):
            carol.process(own.env, changed)
    echo(own, sent)


@suites
def test_a_member_cannot_make_an_echo(own: World) -> None:
    carol, mallory = own.groups["carol"], Forger(own, "bob")
    key = mallory.epoch.secret_tree.peek(CAROL, APPLICATION, 0).message_key
    carol.encrypt(own.env, b"hello")
    forged = mallory.authenticated(
        mallory.content(b"forged"), form=WireFormat.PRIVATE_MESSAGE, signature=b""
    )
    with unchanged(carol), violates(Rule.D02):
        carol.process(own.env, mallory.seal(forged, CAROL, key))


@suites
def test_a_member_cannot_make_us_believe_that_our_state_is_old(own: World) -> None:
    carol, mallory = own.groups["carol"], Forger(own, "bob")
    form = WireFormat.PRIVATE_MESSAGE
    forged = mallory.authenticated(mallory.content(b"forged"), form=form)
    key = mallory.epoch.secret_tree.peek(CAROL, APPLICATION, 7).message_key
    with unchanged(carol), violates(Rule.F07):
        carol.process(own.env, mallory.seal(forged, CAROL, key))
    with unchanged(carol), violates(Rule.F11):
        carol.process(own.env, mallory.seal(forged, CAROL, key, generation=8))
    with unchanged(carol), violates(Rule.D01):
        carol.process(own.env, mallory.seal(forged, CAROL, key, generation=9_999))


@suites
def test_what_we_said_cannot_be_sealed_again_for_us(own: World) -> None:
    """Nothing in what is signed says of which generation it is."""
    carol, mallory = own.groups["carol"], Forger(own, "bob")
    said = opened(own, carol.encrypt(own.env, b"hello", aad=b"a").message)
    key = mallory.epoch.secret_tree.peek(CAROL, APPLICATION, 5).message_key
    with unchanged(carol), violates(Rule.D02):
        carol.process(own.env, mallory.seal(said, CAROL, key))


@pytest.mark.parametrize("own", [2], indirect=True)
@pytest.mark.parametrize("what", ["proposal", "pending commit", "cleared commit"])
def test_a_second_signature_on_what_we_said_is_none_of_ours(
    own: World, what: str
) -> None:
    """Who has a signature of ECDSA can make another that is valid, too."""
    carol, mallory = own.groups["carol"], Forger(own, "bob")
    if what == "proposal":
        sent = carol.propose(own.env, Remove(DAVE), as_public=True).message
    else:
        sent = carol.commit(own.env, as_public=True).commit
        if what == "cleared commit":
            carol.clear_pending()
    said = opened(own, sent)
    r, s = decode_dss_signature(said.signature)
    other = AuthenticatedContent(
        said.wire_format,
        said.content,
        encode_dss_signature(r, P256_ORDER - s),
        said.confirmation_tag,
    )
    forged = mallory.public(other)
    assert decode_message(forged, REGISTRY).raw != sent
    with unchanged(carol), violates(Rule.F07):
        carol.process(own.env, forged)


# ---- a state that was set back, and a copy of it


def set_back(own: World, old: MlsGroup, message: bytes, generation: int | None) -> None:
    with unchanged(old), pytest.raises(MlsRolledBack) as found:
        old.process(own.env, message)
    wrong = found.value
    assert (wrong.leaf, wrong.epoch) == (CAROL, own.groups["carol"].epoch)
    assert wrong.generation == generation
    assert "resync=2" in str(wrong)


@suites
def test_a_state_that_was_set_back_is_noticed(own: World) -> None:
    carol = own.groups["carol"]
    carol.encrypt(own.env, b"in the backup")
    old = own.fork("carol")
    set_back(own, old, carol.encrypt(own.env, b"later").message, 1)
    set_back(own, old, carol.encrypt(own.env, b"and later").message, 2)
    set_back(own, old, carol.propose(own.env, Remove(DAVE)).message, 0)
    public = carol.propose(own.env, Remove(DAVE), as_public=True).message
    set_back(own, old, public, None)
    set_back(own, old, carol.commit(own.env).commit, 1)
    carol.clear_pending()
    public = carol.commit(own.env, as_public=True).commit
    set_back(own, old, public, None)


def test_a_copy_that_goes_its_own_way_is_noticed_by_both(own: World) -> None:
    one, other = own.groups["carol"], own.fork("carol")
    first = [group.encrypt(own.env, b"of one").message for group in (one, other)]
    for group, message in ((one, first[1]), (other, first[0])):
        with unchanged(group), violates(Rule.D02):
            group.process(own.env, message)
    set_back(own, other, one.encrypt(own.env, b"second").message, 1)


def test_a_state_that_was_set_back_over_an_epoch_is_noticed_in_the_past(
    own: World,
) -> None:
    carol, old = own.groups["carol"], own.fork("carol")
    said = carol.encrypt(own.env, b"later").message
    epoch = carol.epoch
    commit = own.commit("alice").commit
    staged = old.process(own.env, commit)
    assert isinstance(staged, StagedCommit)
    old.merge(own.env, staged)
    with unchanged(old), pytest.raises(MlsRolledBack) as found:
        old.process(own.env, said)
    assert (found.value.epoch, found.value.generation) == (epoch, 0)


@suites
def test_the_way_out_of_a_state_that_was_set_back(own: World) -> None:
    old = own.fork("carol")
    said = own.groups["carol"].encrypt(own.env, b"later").message
    with pytest.raises(MlsRolledBack) as found:
        old.process(own.env, said)
    info = encode_message(own.groups["alice"].group_info(with_tree=True))
    client = own.person("carol").client
    joining = stage_external_join(
        own.env, client, info, member_of=(GROUP_ID,), resync=found.value.leaf
    )
    del own.groups["carol"]
    own.deliver(joining.commit)
    own.groups["carol"] = accept(client, joining)
    own.works()
