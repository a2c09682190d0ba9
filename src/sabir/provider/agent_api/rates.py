"""How much one of our own users may ask."""

from typing import Final

from sabir.provider.rates import Rate, RateLimit

STRANGERS: Final = Rate(count=300, per_ms=60_000)
"""Challenges, registrations and refreshed tokens, by address."""
REQUESTS: Final = Rate(count=1_000, per_ms=20_000)
"""All requests of a device: 50 a second, and some catching up at once."""
QUERIES: Final = Rate(count=60, per_ms=60_000)
"""Identifier queries of a user: to find friends, not to list everybody."""
CONSENTS: Final = Rate(count=60, per_ms=3_600_000)
"""Consent entries of a user to other providers."""
ROOMS: Final = Rate(count=60, per_ms=3_600_000)
"""Rooms that a user reserves."""
DEVICE_MESSAGES: Final = Rate(count=1_000, per_ms=3_600_000)
"""Messages of a user's device to their others: the history of as many rooms."""


class AgentRates:
    """The limits on what our agents ask."""

    def __init__(self) -> None:
        self.strangers = RateLimit(STRANGERS)
        self.requests = RateLimit(REQUESTS)
        self.queries = RateLimit(QUERIES)
        self.consents = RateLimit(CONSENTS)
        self.rooms = RateLimit(ROOMS)
        self.device_messages = RateLimit(DEVICE_MESSAGES)
