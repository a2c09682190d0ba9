"""KeyPackages: what is taken in, which are given, what is said when none is."""

from dataclasses import replace
from typing import Any, Final

import pytest

from sabir.crypto.suites import SUITES
from sabir.mimi.codepoints import KeyMaterialClientCode, KeyMaterialUserCode
from sabir.mimi.consent import ANY_ROOM, Consent
from sabir.mimi.key_stock import (
    Disclosure,
    Offer,
    StockItem,
    answer_of,
    choose,
    no_consent,
    refusal_at_target,
    take_in,
)
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    KeyMaterialResponse,
    OtherKeyMaterialRequest,
    decode_key_material_request,
    decode_key_material_response,
    sign_request,
    verify_request,
)
from sabir.mls.credentials import BasicCredential, Credential, X509Credential
from sabir.mls.extensions import RequiredCapabilities
from sabir.mls.key_packages import KeyPackageIn, sign_key_package
from sabir.mls.leaf_node import LeafNodeIn, Lifetime, sign_leaf_node
from sabir.testing.mls.seeded import SeededEnv
from sabir.wire.errors import Malformed
from tests.unit.mimi.world import device, make_client, uri

ENV: Final = SeededEnv(3)
NOW: Final = ENV.now()
DAY_S: Final = 86_400
S: Final = SUITES[1]
ALICE: Final = uri("alice")
BEN: Final = uri("b.example:ben")
ROOM: Final = "mimi://hub.example/r/tea"
GOLF: Final = "mimi://hub.example/r/golf"
PHONE, TABLET, LAPTOP = (device(f"b.example:ben/{number}") for number in (1, 2, 3))
ALICES: Final = make_client(ENV, "alice")
CLIENTS: Final = {
    device(name): make_client(ENV, name)
    for name in ("b.example:ben/1", "b.example:ben/2", "b.example:ben/3")
}
REQUIRED: Final = RequiredCapabilities((6,), (8, 10), (1,))


def package_of(
    client: str = PHONE,
    *,
    begins: int = -3_600,
    ends: int = 28 * DAY_S,
    last: bool = False,
    credential: Credential | None = None,
) -> KeyPackageIn:
    """Make a KeyPackage of any lifetime and credential, signed by its client."""
    owner = CLIENTS[client]
    made = owner.key_package(ENV, suite=1, last_resort=last)[0]
    private = owner.identity(S).private.reveal()
    old = made.leaf_node
    leaf = LeafNodeIn(
        old.encryption_key,
        old.signature_key,
        credential or old.credential,
        old.capabilities,
        old.source,
        Lifetime(NOW + begins, NOW + ends),
        None,
        old.extensions,
        b"",
    )
    package = KeyPackageIn(
        1, made.init_key, sign_leaf_node(S, private, leaf), made.extensions, b""
    )
    return sign_key_package(S, private, package)


def item(client: str = PHONE, **options: Any) -> StockItem:
    """Stock a KeyPackage, unchecked: it may have been good when it came."""
    package = package_of(client, **options)
    return StockItem(
        ref=package.reference(S),
        client=client,
        package=package,
        last_resort=bool(options.get("last")),
    )


def request_of(**changed: Any) -> KeyMaterialRequest:
    """Let Alice ask for Ben's KeyPackages, signed by her."""
    identity = ALICES.identity(S)
    request = KeyMaterialRequest(
        requesting_user=ALICE,
        target_user=BEN,
        room=ROOM,
        suites=(1,),
        required=REQUIRED,
        signature_key=identity.public,
        credential=identity.credential,
    )
    request = replace(request, **changed)
    return sign_request(request, S, identity.private.reveal())


# ---- taking in


def test_a_good_key_package_is_taken_in() -> None:
    package = package_of()
    found = take_in(package, user=BEN, client=PHONE, now_s=NOW)
    assert (found.client, found.last_resort) == (PHONE, False)
    assert found.ref == package.reference(S)
    assert found.lifetime == package.leaf_node.lifetime
    assert take_in(package_of(last=True), user=BEN, now_s=NOW).last_resort


@pytest.mark.parametrize(
    ("package", "rule"),
    [
        (package_of(TABLET), "MIMI-019"),
        (
            package_of(credential=BasicCredential(device("mallory").encode())),
            "MIMI-019",
        ),
        (package_of(credential=BasicCredential("mimi://ä/u/x".encode())), "MIMI-019"),
        (package_of(credential=X509Credential((b"chain",))), "MIMI-019"),
        (package_of(credential=BasicCredential(b"bob")), "MIMI-001"),
        (package_of(begins=-9 * DAY_S, ends=-DAY_S), "L05"),
        (package_of(begins=DAY_S), "L05"),
        (package_of(ends=93 * DAY_S), "L06"),
        (replace(package_of(), signature=bytes(64), raw=b""), "K03"),
        (replace(package_of(), cipher_suite=3, raw=b""), "MIMI-020"),
        (replace(package_of(), cipher_suite=99, raw=b""), "MIMI-020"),
    ],
)
def test_mc_022_what_is_not_taken_in(package: KeyPackageIn, rule: str) -> None:
    with pytest.raises(Malformed) as caught:
        take_in(package, user=BEN, client=PHONE, now_s=NOW)
    assert caught.value.rule == rule


def test_a_grant_brings_packages_of_any_client_of_its_user() -> None:
    assert take_in(package_of(LAPTOP), user=BEN, now_s=NOW).client == LAPTOP
    with pytest.raises(Malformed) as caught:
        take_in(package_of(LAPTOP), user=ALICE, now_s=NOW)
    assert caught.value.rule == "MIMI-019"


# ---- choosing

GIVEN = KeyMaterialClientCode.SUCCESS
EXHAUSTED = KeyMaterialClientCode.KEY_MATERIAL_EXHAUSTED
UNFIT = KeyMaterialClientCode.NOTHING_COMPATIBLE


def statuses(
    stock: list[StockItem], request: KeyMaterialRequest | None = None
) -> list[KeyMaterialClientCode]:
    offers = choose(request or request_of(), [PHONE, TABLET, LAPTOP], stock, now_s=NOW)
    return [offer.status for offer in offers]


def test_mc_022_what_is_over_or_has_not_begun_is_never_given() -> None:
    never = [
        item(begins=-9 * DAY_S, ends=-1),
        item(begins=1),
        item(begins=-2, ends=92 * DAY_S - 1),
    ]
    assert statuses(never) == [EXHAUSTED] * 3
    just = [item(begins=0), item(TABLET, begins=-1, ends=0)]
    assert statuses(just) == [GIVEN, GIVEN, EXHAUSTED]
    limit = [item(begins=0, ends=92 * DAY_S)]
    assert statuses(limit) == [GIVEN, EXHAUSTED, EXHAUSTED]


def test_a_leaf_of_a_group_has_no_lifetime_and_is_never_given() -> None:
    stocked = item()
    old = stocked.package.leaf_node
    leaf = LeafNodeIn(
        old.encryption_key,
        old.signature_key,
        old.credential,
        old.capabilities,
        type(old.source).UPDATE,
        None,
        None,
        old.extensions,
        b"",
    )
    altered = replace(stocked.package, leaf_node=leaf, raw=b"")
    assert statuses([replace(stocked, package=altered)]) == [EXHAUSTED] * 3


def test_the_one_that_expires_first_is_given() -> None:
    later, sooner, other = item(ends=9 * DAY_S), item(ends=2 * DAY_S), item(TABLET)
    offers = choose(request_of(), [PHONE], [later, other, sooner], now_s=NOW)
    assert [offer.item for offer in offers] == [sooner]


@pytest.mark.parametrize(
    "asked",
    [
        {"suites": (2,)},
        {"required": RequiredCapabilities((0x7777,), (), ())},
        {"required": RequiredCapabilities((), (9,), ())},
        {"required": RequiredCapabilities((), (), (2,))},
    ],
)
def test_what_does_not_fit_is_kept(asked: dict[str, Any]) -> None:
    found = statuses([item(), item(TABLET)], request_of(**asked))
    assert found == [UNFIT, UNFIT, EXHAUSTED]


def test_any_acceptable_suite_will_do() -> None:
    assert statuses([item()], request_of(suites=(3, 1)))[0] is GIVEN


def test_mc_025_last_resort_is_given_only_where_allowed_and_nothing_else_fits() -> None:
    last, one = item(last=True, ends=DAY_S), item()
    assert statuses([last])[0] is EXHAUSTED
    assert choose(request_of(), [PHONE], [last, one], now_s=NOW)[0].item is one
    for stock, given in (([last], last), ([last, one], one)):
        (offer,) = choose(
            request_of(), [PHONE], stock, now_s=NOW, allow_last_resort=True
        )
        assert offer.item is given


# ---- answering


def offer(client: str, status: KeyMaterialClientCode) -> Offer:
    given = item(client) if status is GIVEN else None
    return Offer(client=client, status=status, item=given)


@pytest.mark.parametrize(
    ("clients", "status"),
    [
        ([GIVEN, GIVEN], KeyMaterialUserCode.SUCCESS),
        ([GIVEN, EXHAUSTED], KeyMaterialUserCode.PARTIAL_SUCCESS),
        ([UNFIT, GIVEN], KeyMaterialUserCode.PARTIAL_SUCCESS),
        ([EXHAUSTED, EXHAUSTED], KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL),
        ([UNFIT, UNFIT], KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL),
        ([UNFIT, EXHAUSTED], KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL),
        ([], KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL),
    ],
)
def test_mc_023_aggregation(
    clients: list[KeyMaterialClientCode], status: KeyMaterialUserCode
) -> None:
    names = [PHONE, TABLET][: len(clients)]
    offers = [offer(*pair) for pair in zip(names, clients, strict=True)]
    answer = decode_key_material_response(answer_of(BEN, offers).encode())
    assert answer.status is status
    assert answer.user == BEN
    assert [each.status for each in answer.clients] == clients
    assert [each.client for each in answer.clients] == names
    assert [each.key_package for each in answer.clients] == [
        each.item and each.item.package for each in offers
    ]
    assert all(each.capabilities is None for each in answer.clients)


@pytest.mark.parametrize("code", [2, 4, 5, 6, 7])
def test_mc_024_refusals_list_no_clients(code: int) -> None:
    with_clients = replace(
        answer_of(BEN, [offer(PHONE, EXHAUSTED)]), status=KeyMaterialUserCode(code)
    )
    with pytest.raises(Malformed) as caught:
        decode_key_material_response(with_clients.encode())
    assert caught.value.rule == "MIMI-006"
    bare = KeyMaterialResponse(status=code, user=BEN)
    assert decode_key_material_response(bare.encode()) == bare


# ---- checks at the target

CONSENT: Final = Consent({ANY_ROOM: True})


def refusal(
    request: KeyMaterialRequest | OtherKeyMaterialRequest,
    *,
    source: str = "hub.example",
    **changed: Any,
) -> KeyMaterialResponse | None:
    return refusal_at_target(
        request,
        source=source,
        **{"ours": "b.example", "user_exists": True, "consent": CONSENT, **changed},
    )


@pytest.mark.parametrize("source", ["hub.example", "a.example"])
def test_the_hub_or_the_requesters_provider_may_ask(source: str) -> None:
    assert refusal(request_of(), source=source) is None


NAMELESS: Final = BasicCredential(device("mallory/1").encode())


@pytest.mark.parametrize(
    ("request_", "changed"),
    [
        (replace(request_of(), signature=bytes(64)), {}),
        (replace(request_of(), room=GOLF), {}),
        (request_of(credential=NAMELESS), {}),
        (request_of(credential=X509Credential((b"chain",))), {}),
        (request_of(credential=BasicCredential("mimi://ä/u/x".encode())), {}),
        (request_of(credential=BasicCredential(b"alice")), {}),
        (request_of(requesting_user=uri("mallory")), {}),
        (request_of(signature_key=bytes(32)), {}),
        (request_of(suites=(2, 1)), {}),
        (request_of(suites=(99, 1)), {}),
        (request_of(), {"source": "c.example"}),
        (request_of(), {"ours": "c.example"}),
        (request_of(room=""), {"source": "hub.example"}),
        (request_of(), {"consent": Consent()}),
        (request_of(), {"user_exists": False}),
        (request_of(), {"user_exists": False, "consent": Consent()}),
    ],
)
def test_mc_016_mc_019_all_refusals_are_the_same_octets(
    request_: KeyMaterialRequest, changed: dict[str, Any]
) -> None:
    answer = refusal(request_, **changed)
    assert answer is not None
    assert answer.encode() == no_consent(BEN).encode()


def test_mc_020_a_request_without_a_room_needs_consent_for_any() -> None:
    nowhere = request_of(room="")
    assert refusal(nowhere, source="a.example") is None
    only = Consent({ROOM: True})
    assert refusal(nowhere, source="a.example", consent=only) == no_consent(BEN)
    assert refusal(request_of(), consent=only) is None
    assert refusal(request_of(room=GOLF), consent=only) == no_consent(BEN)


def test_own_devices_need_no_consent() -> None:
    own = request_of(target_user=ALICE)
    assert refusal(own, ours="a.example", consent=Consent({ANY_ROOM: False})) is None


def test_operators_may_tell_more() -> None:
    told = Disclosure(unknown_users=True, rooms_refused=True)
    unknown = refusal(request_of(), user_exists=False, disclosure=told)
    assert unknown is not None
    assert unknown.status is KeyMaterialUserCode.USER_UNKNOWN
    here = refusal(request_of(), consent=Consent({ROOM: False}), disclosure=told)
    assert here is not None
    assert here.status is KeyMaterialUserCode.NO_CONSENT_FOR_THIS_ROOM
    assert refusal(request_of(), consent=Consent(), disclosure=told) == no_consent(BEN)


def test_mc_010_another_protocol_is_answered() -> None:
    octets = b"\x02" + request_of().encode()[1:]
    other = decode_key_material_request(octets)
    assert isinstance(other, OtherKeyMaterialRequest)
    assert other.encode() == octets
    answer = refusal(other)
    assert answer is not None
    assert answer.status is KeyMaterialUserCode.INCOMPATIBLE_PROTOCOL
    assert answer.encode()[:2] == b"\x01\x02"
    assert answer.user == BEN


def test_d_13_bare_peers_sign_by_any_suite_they_accept() -> None:
    second = request_of(suites=(2, 1))
    assert not verify_request(second)
    assert verify_request(second, any_scheme=True)
    assert refusal(second) == no_consent(BEN)
    assert refusal(second, bare=True) is None
