"""KeyPackages in stock at the target's provider: what is taken in, what is given (7.1).

Claiming is not here: the store lets each KeyPackage be taken once. Who loses a race
chooses again from what is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sabir.crypto.suites import find_suite
from sabir.mimi.authentication import RoomAuthentication
from sabir.mimi.codepoints import KeyMaterialClientCode, KeyMaterialUserCode
from sabir.mimi.consent import Consent, Decision, decide
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.structs.key_material import (
    ClientKeyMaterial,
    KeyMaterialRequest,
    KeyMaterialResponse,
    OtherKeyMaterialRequest,
    verify_request,
)
from sabir.mimi.uris import domain_of, user_of
from sabir.mls.capabilities import Capabilities
from sabir.mls.components import is_last_resort
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import RequiredCapabilities
from sabir.mls.key_packages import KeyPackageIn
from sabir.mls.leaf_node import Lifetime
from sabir.mls.limits import DEFAULT_LIMITS
from sabir.mls.validation.key_package import validate_key_package
from sabir.mls.validation.leaf_node import LeafRules, check_required
from sabir.wire.errors import Malformed

LOW_WATER: Final = 50
"""Below it a client is told to bring more."""

_AUTHENTICATION: Final = RoomAuthentication()
_NEVER: Final = Lifetime(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockItem:
    """A KeyPackage that was checked when it was taken in.

    Attributes:
        ref: its KeyPackageRef, by its own suite.
        client: URI of whose it is.
        package: the KeyPackage.
        last_resort: it may be given more than once, where that is allowed at all.
    """

    ref: bytes
    client: str
    package: KeyPackageIn = field(repr=False)
    last_resort: bool

    @property
    def lifetime(self) -> Lifetime:
        """Return its lifetime, in seconds since 1970."""
        return self.package.leaf_node.lifetime or _NEVER


def take_in(
    package: KeyPackageIn,
    *,
    user: str,
    client: str | None = None,
    suites: Iterable[int] = MIMI06_A.suites,
    now_s: int,
) -> StockItem:
    """Check a KeyPackage before it is stored.

    Args:
        package: as it was uploaded, or came with a grant.
        user: URI of whose client it must be of.
        client: URI of the uploading device; None: any of the user's.
        suites: that rooms may have.
        now_s: seconds since 1970.

    Raises:
        Malformed: MIMI-019 of another client; MIMI-020 of a suite that no room has;
            the rule of MLS that is broken, e.g. K03, L05, L06.
    """
    suite = find_suite(package.cipher_suite)
    if suite is None or suite.number not in suites:
        raise Malformed("MIMI-020", f"cipher suite {package.cipher_suite}")
    owner = _client_of(package)
    if user_of(owner) != user or (client is not None and owner != client):
        raise Malformed("MIMI-019", "a key package of another client")
    rules = LeafRules(suite=suite, authentication=_AUTHENTICATION)
    try:
        checked = validate_key_package(package, rules, now_s)
    except MlsInvalid as wrong:
        raise Malformed(wrong.rule, wrong.detail) from wrong
    return StockItem(
        ref=checked.reference(suite),
        client=owner,
        package=checked,
        last_resort=is_last_resort(checked.extensions),
    )


def _client_of(package: KeyPackageIn) -> str:
    credential = package.leaf_node.credential
    if not isinstance(credential, BasicCredential) or not credential.identity.isascii():
        raise Malformed("MIMI-019", f"credential type {credential.kind}")
    return credential.identity.decode("ascii")


# ---- selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one client gives to a request.

    Attributes:
        client: its URI.
        status: what it can do.
        item: with SUCCESS, and only then; still to be claimed.
    """

    client: str
    status: KeyMaterialClientCode
    item: StockItem | None = None


def choose(
    request: KeyMaterialRequest,
    clients: Sequence[str],
    stock: Iterable[StockItem],
    *,
    now_s: int,
    allow_last_resort: bool = False,
) -> tuple[Offer, ...]:
    """Choose a KeyPackage of each client: the one that expires first.

    Args:
        request: says which suites and capabilities are acceptable.
        clients: of the target, in the order of the answer.
        stock: what is there.
        now_s: seconds since 1970.
        allow_last_resort: give those of last resort where nothing else fits (D-15).
    """
    valid = [item for item in stock if _is_valid(item.lifetime, now_s)]
    return tuple(
        _offer(
            request,
            client,
            [item for item in valid if item.client == client],
            allow_last_resort=allow_last_resort,
        )
        for client in clients
    )


def _offer(
    request: KeyMaterialRequest,
    client: str,
    items: Sequence[StockItem],
    *,
    allow_last_resort: bool,
) -> Offer:
    usable = [item for item in items if allow_last_resort or not item.last_resort]
    if not usable:
        return Offer(client=client, status=KeyMaterialClientCode.KEY_MATERIAL_EXHAUSTED)
    fitting = [item for item in usable if _fits(item.package, request)]
    if not fitting:
        return Offer(client=client, status=KeyMaterialClientCode.NOTHING_COMPATIBLE)
    best = min(fitting, key=lambda item: (item.last_resort, item.lifetime.not_after))
    return Offer(client=client, status=KeyMaterialClientCode.SUCCESS, item=best)


def _is_valid(lifetime: Lifetime, now_s: int) -> bool:
    """Tell whether a KeyPackage may be given now: without any tolerance (D-15)."""
    seconds = lifetime.not_after - lifetime.not_before
    return (
        lifetime.not_before <= now_s <= lifetime.not_after
        and seconds <= DEFAULT_LIMITS.lifetime_s_max
    )


def _fits(package: KeyPackageIn, request: KeyMaterialRequest) -> bool:
    return package.cipher_suite in request.suites and _supports(
        package.leaf_node.capabilities, request.required
    )


def _supports(capabilities: Capabilities, required: RequiredCapabilities) -> bool:
    try:
        check_required(capabilities, required)
    except MlsInvalid:
        return False
    return True


# ---- answers


def answer_of(target: str, offers: Sequence[Offer]) -> KeyMaterialResponse:
    """Put together what was claimed of all clients (D-14)."""
    given = sum(offer.item is not None for offer in offers)
    if not given:
        status = KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL
    elif given < len(offers):
        status = KeyMaterialUserCode.PARTIAL_SUCCESS
    else:
        status = KeyMaterialUserCode.SUCCESS
    return KeyMaterialResponse(
        status=status,
        user=target,
        clients=tuple(
            ClientKeyMaterial(
                status=offer.status,
                client=offer.client,
                key_package=None if offer.item is None else offer.item.package,
            )
            for offer in offers
        ),
    )


def no_consent(target: str) -> KeyMaterialResponse:
    """Refuse, without saying why: also of those who do not exist."""
    return KeyMaterialResponse(status=KeyMaterialUserCode.NO_CONSENT, user=target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """What an operator lets requesters know beyond "no consent"."""

    unknown_users: bool = False
    rooms_refused: bool = False


SILENT: Final = Disclosure()


def refusal_at_target(
    request: KeyMaterialRequest | OtherKeyMaterialRequest,
    *,
    source: str,
    ours: str,
    user_exists: bool,
    consent: Consent,
    disclosure: Disclosure = SILENT,
    bare: bool = False,
) -> KeyMaterialResponse | None:
    """Check a request at the target's provider (D-16).

    Args:
        request: as it came.
        source: domain of the provider that sent it.
        ours: our domain.
        user_exists: the target is an active user of ours.
        consent: of the target about the requester.
        disclosure: what may be told.
        bare: the peer names no profile; signatures of any suite are tried (D-13).

    Returns:
        The answer that refuses; None: KeyPackages may be given.
    """
    target = request.target_user
    if isinstance(request, OtherKeyMaterialRequest):
        return KeyMaterialResponse(
            status=KeyMaterialUserCode.INCOMPATIBLE_PROTOCOL, user=target
        )
    if not _is_authentic(request, source=source, ours=ours, bare=bare):
        return no_consent(target)
    decision = decide(
        consent, requester=request.requesting_user, target=target, room=request.room
    )
    if not user_exists:
        status = KeyMaterialUserCode.USER_UNKNOWN
        told = disclosure.unknown_users
    elif decision is Decision.ALLOWED:
        return None
    else:
        status = KeyMaterialUserCode.NO_CONSENT_FOR_THIS_ROOM
        told = disclosure.rooms_refused and decision is Decision.DENIED_FOR_THIS_ROOM
    if told:
        return KeyMaterialResponse(status=status, user=target)
    return no_consent(target)


def _is_authentic(
    request: KeyMaterialRequest, *, source: str, ours: str, bare: bool
) -> bool:
    """Tell whether a request comes from whom it says, by whom it may come."""
    via = {domain_of(request.requesting_user)}
    if request.room:
        via.add(domain_of(request.room))
    if domain_of(request.target_user) != ours or source not in via:
        return False
    return is_signed_by_requester(request, bare=bare)


def is_signed_by_requester(request: KeyMaterialRequest, *, bare: bool = False) -> bool:
    """Tell whether the credential is the requester's and the signature is by its key.

    Whether that key is in the room's group is known to the hub alone.
    """
    credential = request.credential
    if not isinstance(credential, BasicCredential) or not credential.identity.isascii():
        return False
    try:
        user = user_of(credential.identity.decode("ascii"))
    except Malformed:
        return False
    return user == request.requesting_user and verify_request(request, any_scheme=bare)
