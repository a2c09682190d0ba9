"""`Secret`: octets that must not be printed, compared with `==`, or hashed."""

import hmac
from typing import NoReturn, final


@final
class Secret:
    """Octets whose `repr` shows only their number.

    `reveal` is the only way to the octets, and easy to search for.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    @classmethod
    def from_text(cls, text: str) -> "Secret":
        """Wrap a token or password given as text."""
        return cls(text.encode())

    def reveal(self) -> bytes:
        """Return the octets."""
        return self._octets

    def reveal_text(self) -> str:
        """Return the octets as text (UTF-8)."""
        return self._octets.decode()

    def ct_equal(self, other: "Secret | bytes") -> bool:
        """Compare in constant time."""
        octets = other.reveal() if isinstance(other, Secret) else other
        return hmac.compare_digest(self._octets, octets)

    def __repr__(self) -> str:
        return f"<Secret of {len(self._octets)} octets>"

    def __eq__(self, other: object) -> NoReturn:
        msg = "compare secrets with ct_equal()"
        raise TypeError(msg)

    __hash__ = None  # type: ignore[assignment]  # a secret must not end in a set or a cache

    def __reduce__(self) -> NoReturn:
        msg = "a Secret is not serializable"
        raise TypeError(msg)
