"""`Tag`: a MAC that can only be compared in constant time."""

import hmac
from typing import NoReturn, final


@final
class Tag:
    """A `confirmation_tag` or `membership_tag`; `==` raises."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def ct_equal(self, other: "Tag | bytes") -> bool:
        """Compare in constant time."""
        octets = other.octets if isinstance(other, Tag) else other
        return hmac.compare_digest(self.octets, octets)

    def __repr__(self) -> str:
        return f"<Tag of {len(self.octets)} octets>"

    def __eq__(self, other: object) -> NoReturn:
        msg = "compare tags with ct_equal()"
        raise TypeError(msg)

    __hash__ = None  # type: ignore[assignment]  # a tag must not end in a set or a cache
