import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from sabir.crypto.hkdf import BLOCKS_MAX, NH, LabeledKdf, expand, extract
from sabir.errors import LocalError

ALGORITHMS = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@pytest.mark.parametrize("name", NH)
def test_extract_then_expand_is_the_librarys_hkdf(name: str) -> None:
    for length in (1, NH[name], NH[name] + 1, 3 * NH[name], BLOCKS_MAX * NH[name]):
        theirs = HKDF(ALGORITHMS[name], length, b"salt", b"info").derive(b"ikm")
        ours = expand(name, extract(name, b"salt", b"ikm"), b"info", length)
        assert ours == theirs


@pytest.mark.parametrize("name", NH)
def test_an_empty_salt_means_zeros(name: str) -> None:
    assert extract(name, b"", b"ikm") == hmac.digest(bytes(NH[name]), b"ikm", name)


@pytest.mark.parametrize("name", NH)
def test_more_than_255_blocks_are_refused(name: str) -> None:
    with pytest.raises(LocalError, match="at most"):
        expand(name, b"prk", b"", BLOCKS_MAX * NH[name] + 1)


def test_labels_stand_where_rfc_9180_puts_them() -> None:
    kdf = LabeledKdf("sha256", b"KEM\x00\x20")
    prk = kdf.extract(b"salt", b"label", b"ikm")
    text = b"HPKE-v1KEM\x00\x20labelikm"
    assert prk == hmac.new(b"salt", text, hashlib.sha256).digest()
    theirs = HKDFExpand(hashes.SHA256(), 40, b"\x00\x28HPKE-v1KEM\x00\x20labelinfo")
    assert kdf.expand(prk, b"label", b"info", 40) == theirs.derive(prk)
