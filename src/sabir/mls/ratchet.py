"""One sender ratchet (RFC 9420 section 9.1): a secret that only goes forward."""

from dataclasses import dataclass, field
from typing import Final

from sabir.crypto.labels import derive_tree_secret
from sabir.crypto.suites import CipherSuite

GENERATION_MAX: Final = (1 << 32) - 1
"""A generation is a uint32."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Where a ratchet is: the next generation, and the secret of it."""

    generation: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class MessageKey:
    """What one message is sealed with.

    Attributes:
        generation: of the sender's ratchet.
        key: for the AEAD.
        nonce: for the AEAD, before the reuse guard.
    """

    generation: int
    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A way forward, not yet gone.

    Attributes:
        before: where the ratchet is.
        passed: keys of generations that were passed over and are worth keeping,
            oldest first.
        message_key: of the generation asked for.
        after: where the ratchet will be.
    """

    before: Head
    passed: tuple[MessageKey, ...]
    message_key: MessageKey
    after: Head


def step_to(suite: CipherSuite, head: Head, generation: int, keep: int) -> Step:
    """Go to a generation; this changes nothing.

    Args:
        suite: of the group.
        head: where the ratchet is.
        generation: that of `head` or later, at most `GENERATION_MAX`. One derivation
            for each in between: the caller has a limit (rule D01).
        keep: how many of the generations passed over are kept, the newest.
    """
    secret = head.secret
    passed = []
    for between in range(head.generation, generation):
        if generation - between <= keep:
            passed.append(_message_key(suite, secret, between))
        secret = _next_secret(suite, secret, between)
    return Step(
        before=head,
        passed=tuple(passed),
        message_key=_message_key(suite, secret, generation),
        after=Head(generation + 1, _next_secret(suite, secret, generation)),
    )


def _message_key(suite: CipherSuite, secret: bytes, generation: int) -> MessageKey:
    return MessageKey(
        generation,
        derive_tree_secret(suite, secret, b"key", generation, suite.nk),
        derive_tree_secret(suite, secret, b"nonce", generation, suite.nn),
    )


def _next_secret(suite: CipherSuite, secret: bytes, generation: int) -> bytes:
    return derive_tree_secret(suite, secret, b"secret", generation, suite.nh)
