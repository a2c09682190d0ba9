"""The 24-hour rule: free words only within 24 hours of the person's last message.

Beyond them WhatsApp takes only templates that Meta has approved. Pure.
"""

from typing import Final

from sabir.clock import Instant

WINDOW_MS: Final = 24 * 3_600_000

CLOSED: Final = (
    "this person has not written to your WhatsApp number in the last 24 hours, so "
    "WhatsApp allows only a template now: ask them (by another way) to send any "
    "message, then say it again"
)
TEMPLATE_HINT: Final = (
    "; or have a template approved by Meta and name it in the account's setting "
    "`template`, and Sabir sends texts with it"
)


def is_open(last_inbound: Instant | None, *, now: Instant) -> bool:
    """Tell whether free words may go.

    Args:
        last_inbound: when the person wrote last, None if we do not know of it. Then
            the question is left to WhatsApp: they may have written before Sabir came.
        now: the present instant.
    """
    return last_inbound is None or now - last_inbound < WINDOW_MS


def refusal(*, has_template: bool) -> str:
    """Return the sentence for the sender, with the way out."""
    return CLOSED if has_template else CLOSED + TEMPLATE_HINT
