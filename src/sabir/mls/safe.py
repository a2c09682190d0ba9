"""Keys of MLS for components: the Safe functions (mls-extensions 4.2 and 4.3).

They are the labelled functions of RFC 9420 with a `ComponentOperationLabel`, so what
one component signs or seals means nothing to MLS and to other components.
"""

from sabir.crypto.errors import BadKey, OpenFailed
from sabir.crypto.labels import (
    decrypt_with_label,
    encrypt_with_label,
    sign_with_label,
    verify_with_label,
)
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.commit import HPKECiphertext
from sabir.mls.components import component_label
from sabir.mls.errors import MlsInvalid
from sabir.mls.misuse import composes
from sabir.mls.validation.rules import Rule


@composes
def safe_sign(
    suite: CipherSuite, private: Secret, component_id: int, label: bytes, content: bytes
) -> bytes:
    """SafeSignWithLabel: sign as a component, with a leaf's signature key."""
    named = component_label(component_id, label)
    return sign_with_label(suite, private.reveal(), named, content)


@composes
def safe_verify(
    suite: CipherSuite,
    public: bytes,
    component_id: int,
    label: bytes,
    content: bytes,
    signature: bytes,
) -> bool:
    """SafeVerifyWithLabel: check what a component signed."""
    named = component_label(component_id, label)
    return verify_with_label(suite, public, named, content, signature)


@composes
def safe_encrypt(
    suite: CipherSuite,
    public: bytes,
    component_id: int,
    label: bytes,
    context: bytes,
    plaintext: bytes,
) -> HPKECiphertext:
    """SafeEncryptWithLabel: seal for a component of who has a key's private half.

    Raises:
        MlsInvalid: L14, `public` is no key.
    """
    named = component_label(component_id, label)
    try:
        return HPKECiphertext(
            *encrypt_with_label(suite, public, named, context, plaintext)
        )
    except BadKey as wrong:
        raise MlsInvalid(Rule.L14, str(wrong)) from None


@composes
def safe_decrypt(
    suite: CipherSuite,
    private: Secret,
    component_id: int,
    label: bytes,
    context: bytes,
    sealed: HPKECiphertext,
) -> bytes:
    """SafeDecryptWithLabel: open what was sealed for a component of ours.

    Raises:
        MlsInvalid: F11, it does not open.
    """
    named = component_label(component_id, label)
    try:
        return decrypt_with_label(
            suite,
            private.reveal(),
            named,
            context,
            sealed.kem_output,
            sealed.ciphertext,
        )
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.F11, str(wrong)) from None
