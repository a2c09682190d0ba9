"""The octets of SemiPrivateMessages and of those who may read them."""

from dataclasses import replace

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.codepoints import ContentType
from sabir.mls.commit import HPKECiphertext
from sabir.mls.credentials import BasicCredential
from sabir.mls.errors import MlsUnsupported
from sabir.mls.extensions import Extension
from sabir.mls.framing import decode_message, encode_message
from sabir.mls.limits import EXTERNAL_RECEIVERS_MAX
from sabir.mls.semi_private import (
    EXTERNAL_RECEIVERS,
    ExternalReceiver,
    KeyForExternalReceiver,
    SemiPrivateMessage,
    encode_external_receivers,
    external_receivers_of,
    read_semi_private_message,
)
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole

HUB = ExternalReceiver(b"key", BasicCredential(b"hub"))
MESSAGE = SemiPrivateMessage(
    b"g",
    2,
    ContentType.COMMIT,
    b"aad",
    b"partial",
    (KeyForExternalReceiver(b"ref", HPKECiphertext(b"kem", b"sealed")),),
    b"tbs",
    b"sender",
    b"cipher",
)


def test_the_fields_stand_in_the_drafts_order() -> None:
    assert MESSAGE.raw.hex() == (
        "0167"
        "0000000000000002"
        "03"
        "03"
        + b"aad".hex()
        + "07"
        + b"partial".hex()
        + "0f"
        + "03"
        + b"ref".hex()
        + "03"
        + b"kem".hex()
        + "06"
        + b"sealed".hex()
        + "03"
        + b"tbs".hex()
        + "06"
        + b"sender".hex()
        + "06"
        + b"cipher".hex()
    )
    assert MESSAGE.raw.startswith(MESSAGE.associated())


def test_a_message_reads_as_written_where_the_flag_is_up() -> None:
    octets = encode_message(MESSAGE)
    assert octets[:4].hex() == "0001fb01"
    assert decode_message(octets, semi_private=True).body == MESSAGE
    with pytest.raises(MlsUnsupported):
        decode_message(octets)


@pytest.mark.parametrize("kind", [0, ContentType.APPLICATION, 4])
def test_only_handshakes_are_semi_private(kind: int) -> None:
    octets = MESSAGE.raw[:10] + bytes((kind,)) + MESSAGE.raw[11:]
    with pytest.raises(Malformed) as wrong:
        read_whole(octets, read_semi_private_message)
    assert wrong.value.rule == "C07"


def test_receivers_read_as_written() -> None:
    other = ExternalReceiver(b"another", BasicCredential(b"follower"))
    data = encode_external_receivers([HUB, other])
    assert external_receivers_of((Extension(EXTERNAL_RECEIVERS, data),)) == (HUB, other)
    assert external_receivers_of(()) == ()


def test_more_receivers_than_the_limit_are_refused() -> None:
    def read(count: int) -> tuple[ExternalReceiver, ...]:
        data = encode_external_receivers([HUB] * count)
        return external_receivers_of((Extension(EXTERNAL_RECEIVERS, data),))

    assert len(read(EXTERNAL_RECEIVERS_MAX)) == EXTERNAL_RECEIVERS_MAX
    with pytest.raises(Malformed) as wrong:
        read(EXTERNAL_RECEIVERS_MAX + 1)
    assert wrong.value.rule == "C03"


def test_a_message_is_sealed_to_as_many_as_a_group_may_name() -> None:
    def read(count: int) -> SemiPrivateMessage:
        message = replace(MESSAGE, keys=MESSAGE.keys * count, raw=b"")
        return read_whole(message.raw, read_semi_private_message)

    assert len(read(EXTERNAL_RECEIVERS_MAX).keys) == EXTERNAL_RECEIVERS_MAX
    with pytest.raises(Malformed) as wrong:
        read(EXTERNAL_RECEIVERS_MAX + 1)
    assert wrong.value.rule == "C03"


def test_a_receiver_is_named_by_the_hash_of_its_struct() -> None:
    assert HUB.encode() == b"\x03key\x00\x01\x03hub"
    assert HUB.reference(SUITES[1]) == SUITES[1].hash(HUB.encode())
