"""keyMaterial: KeyPackages of a user, asked for and given (3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sabir.crypto.labels import sign_with_label, verify_with_label
from sabir.crypto.suites import SUITES, CipherSuite
from sabir.mimi.codepoints import KeyMaterialClientCode, KeyMaterialUserCode
from sabir.mimi.components.fields import read_identifier, text
from sabir.mimi.structs.fields import (
    ELEMENTS_MAX,
    PROTOCOL,
    decode_whole,
    known,
    read_key,
    read_nameable,
    read_protocol_of_answer,
    read_signature,
)
from sabir.mls.capabilities import Capabilities, read_capabilities
from sabir.mls.credentials import Credential, read_credential
from sabir.mls.extensions import RequiredCapabilities, read_required_capabilities
from sabir.mls.key_packages import KeyPackageIn, read_key_package
from sabir.mls.struct import read_uint16s, write_uint16s
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, opaque, optional, uint8, vector

REQUEST_LABEL: Final = b"KeyMaterialRequestTBS"

_WITHOUT_CLIENTS: Final = frozenset(KeyMaterialUserCode) - {
    KeyMaterialUserCode.SUCCESS,
    KeyMaterialUserCode.PARTIAL_SUCCESS,
    KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL,
}
"""Answers that list no clients (D-14)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterialRequest:
    """A member asks for KeyPackages of a user's clients.

    Attributes:
        requesting_user: URI of who asks.
        target_user: URI of whose KeyPackages are wanted.
        room: URI of the room they are for; empty: none yet.
        suites: acceptable cipher suites; the first is the room's (D-13).
        required: what the room's group asks of leaves.
        signature_key: of the requester's leaf.
        credential: of the requester's leaf.
        signature: by that key.
    """

    requesting_user: str
    target_user: str
    room: str
    suites: tuple[int, ...]
    required: RequiredCapabilities
    signature_key: bytes
    credential: Credential
    signature: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Write the `KeyMaterialRequest`."""
        return self.signed() + opaque(self.signature)

    def signed(self) -> bytes:
        """Write the `KeyMaterialRequestTBS`."""
        return (
            uint8(PROTOCOL)
            + text(self.requesting_user)
            + text(self.target_user)
            + text(self.room)
            + write_uint16s(self.suites)
            + self.required.encode()
            + opaque(self.signature_key)
            + self.credential.raw
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherKeyMaterialRequest:
    """A request in another protocol than MLS 1.0: what can be read of it."""

    protocol: int
    requesting_user: str
    target_user: str
    room: str
    rest: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Write the `KeyMaterialRequest`."""
        return (
            uint8(self.protocol)
            + text(self.requesting_user)
            + text(self.target_user)
            + text(self.room)
            + self.rest
        )


def decode_key_material_request(
    body: bytes,
) -> KeyMaterialRequest | OtherKeyMaterialRequest:
    """Read a `KeyMaterialRequest`.

    Raises:
        Malformed: MIMI-005 no cipher suite; as `decode_whole`.
    """
    return decode_whole(body, read_key_material_request)


def read_key_material_request(
    reader: Reader,
) -> KeyMaterialRequest | OtherKeyMaterialRequest:
    """Take a `KeyMaterialRequest`; one in another protocol takes all that is left."""
    protocol = reader.uint8()
    requesting_user = read_identifier(reader)
    target_user = read_identifier(reader)
    room = read_nameable(reader)
    if protocol != PROTOCOL:
        return OtherKeyMaterialRequest(
            protocol=protocol,
            requesting_user=requesting_user,
            target_user=target_user,
            room=room,
            rest=reader.fixed(reader.end - reader.position),
        )
    suites = read_uint16s(reader)
    if not suites:
        raise Malformed("MIMI-005", "no cipher suite")
    return KeyMaterialRequest(
        requesting_user=requesting_user,
        target_user=target_user,
        room=room,
        suites=suites,
        required=read_required_capabilities(reader),
        signature_key=read_key(reader),
        credential=read_credential(reader),
        signature=read_signature(reader),
    )


def sign_request(
    request: KeyMaterialRequest, suite: CipherSuite, private_key: bytes
) -> KeyMaterialRequest:
    """Return a request with the signature of its leaf.

    Args:
        request: ready but for the signature.
        suite: the first of the request.
        private_key: of the leaf.
    """
    signature = sign_with_label(suite, private_key, REQUEST_LABEL, request.signed())
    return replace(request, signature=signature)


def verify_request(
    request: KeyMaterialRequest,
    suites: Mapping[int, CipherSuite] = SUITES,
    *,
    any_scheme: bool = False,
) -> bool:
    """Check the signature of a request by its own key (D-13).

    Args:
        request: as it came.
        suites: that we know.
        any_scheme: try all suites of the request, for bare peers.
    """
    numbers = request.suites if any_scheme else request.suites[:1]
    schemes = {
        suites[number].signature: suites[number]
        for number in reversed(numbers)
        if number in suites
    }
    return any(
        verify_with_label(
            suite,
            request.signature_key,
            REQUEST_LABEL,
            request.signed(),
            request.signature,
        )
        for suite in reversed(schemes.values())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKeyMaterial:
    """What one client has to offer.

    Attributes:
        status: a `KeyMaterialClientCode`, or another number.
        client: its URI.
        key_package: with SUCCESS, and only then.
        capabilities: with NOTHING_COMPATIBLE, where they are told.
    """

    status: int
    client: str
    key_package: KeyPackageIn | None = None
    capabilities: Capabilities | None = None

    def encode(self) -> bytes:
        """Write the `ClientKeyMaterial`."""
        head = uint8(self.status) + text(self.client)
        if self.key_package is not None:
            return head + self.key_package.raw
        if self.status == KeyMaterialClientCode.NOTHING_COMPATIBLE:
            told = self.capabilities
            return head + optional(None if told is None else told.raw)
        return head


def read_client_key_material(reader: Reader) -> ClientKeyMaterial:
    """Take a `ClientKeyMaterial`.

    Raises:
        Malformed: as `read_key_package`.
        MlsUnsupported: as `read_key_package`.
    """
    status = known(KeyMaterialClientCode, reader.uint8())
    client = read_identifier(reader)
    key_package, capabilities = None, None
    if status == KeyMaterialClientCode.SUCCESS:
        key_package = read_key_package(reader)
    elif status == KeyMaterialClientCode.NOTHING_COMPATIBLE:
        capabilities = reader.optional(read_capabilities)
    return ClientKeyMaterial(
        status=status,
        client=client,
        key_package=key_package,
        capabilities=capabilities,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMaterialResponse:
    """What all clients of a user have to offer.

    Attributes:
        status: a `KeyMaterialUserCode`, or another number.
        user: the target of the request.
        clients: empty unless the status lists clients (D-14).
    """

    status: int
    user: str
    clients: tuple[ClientKeyMaterial, ...] = ()

    def encode(self) -> bytes:
        """Write the `KeyMaterialResponse`."""
        return (
            uint8(PROTOCOL)
            + uint8(self.status)
            + text(self.user)
            + vector(client.encode() for client in self.clients)
        )


def decode_key_material_response(body: bytes) -> KeyMaterialResponse:
    """Read a `KeyMaterialResponse`.

    Raises:
        Malformed: MIMI-004 another protocol; MIMI-006 clients where the status has
            none; as `decode_whole`.
    """
    return decode_whole(body, read_key_material_response)


def read_key_material_response(reader: Reader) -> KeyMaterialResponse:
    """Take a `KeyMaterialResponse`."""
    read_protocol_of_answer(reader)
    status = known(KeyMaterialUserCode, reader.uint8())
    user = read_identifier(reader)
    clients = reader.vector(read_client_key_material, count_max=ELEMENTS_MAX)
    if clients and status in _WITHOUT_CLIENTS:
        raise Malformed("MIMI-006", f"{len(clients)} clients with code {status:d}")
    return KeyMaterialResponse(status=status, user=user, clients=clients)
