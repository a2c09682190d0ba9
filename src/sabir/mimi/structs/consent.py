"""requestConsent and updateConsent: may somebody add somebody (3.7)."""

from dataclasses import dataclass

from sabir.mimi.codepoints import ConsentOperation
from sabir.mimi.components.fields import read_identifier, text
from sabir.mimi.structs.fields import (
    ELEMENTS_MAX,
    EMPTY,
    decode_whole,
    encode_optional_identifier,
    known,
    read_extensions,
    read_optional_identifier,
)
from sabir.mls.components import AppDataDictionary
from sabir.mls.key_packages import KeyPackageIn, read_key_package
from sabir.wire.tls import Reader, uint8, vector


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEntry:
    """A request for consent, its withdrawal, or a decision.

    Attributes:
        operation: a `ConsentOperation`, or another number.
        requester: URI of who wants to add.
        target: URI of who is to be added.
        room: URI of the only room it is about; empty: any room (D-29).
        key_packages: of the target's clients, with GRANT (D-30).
        extensions: by component id.
    """

    operation: int
    requester: str
    target: str
    room: str = ""
    key_packages: tuple[KeyPackageIn, ...] = ()
    extensions: AppDataDictionary = EMPTY

    def encode(self) -> bytes:
        """Write the `ConsentEntry`."""
        head = (
            uint8(self.operation)
            + text(self.requester)
            + text(self.target)
            + encode_optional_identifier(self.room)
        )
        if self.operation == ConsentOperation.GRANT:
            head += vector(package.raw for package in self.key_packages)
        return head + self.extensions.encode()


def decode_consent_entry(body: bytes) -> ConsentEntry:
    """Read a `ConsentEntry`.

    Raises:
        Malformed: as `decode_whole`.
    """
    return decode_whole(body, read_consent_entry)


def read_consent_entry(reader: Reader) -> ConsentEntry:
    """Take a `ConsentEntry`."""
    operation = known(ConsentOperation, reader.uint8())
    requester = read_identifier(reader)
    target = read_identifier(reader)
    room = read_optional_identifier(reader)
    packages: tuple[KeyPackageIn, ...] = ()
    if operation == ConsentOperation.GRANT:
        packages = reader.vector(read_key_package, count_max=ELEMENTS_MAX)
    return ConsentEntry(
        operation=operation,
        requester=requester,
        target=target,
        room=room,
        key_packages=packages,
        extensions=read_extensions(reader),
    )
