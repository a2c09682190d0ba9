"""Named limits of the agent; each is a number with its unit and its reason."""

from dataclasses import dataclass
from typing import Final

INGEST_BATCH_MAX: Final = 100
"""Native events understood at a time: enough to share one commit, few enough
that the first does not wait long for the last."""
DELIVERY_BATCH_MAX: Final = 50
"""Entries prepared at a time; no connector takes more (`Connector.send_window`)."""
BACKOFF_FIRST_MS: Final = 250
"""The first retry comes soon: most interruptions are restarts."""
BACKOFF_MAX_MS: Final = 60_000
"""No connection rests longer; 60 s is what the networks' own clients do."""
MEDIA_OCTETS_MAX: Final = 2 * 1024**3
"""One file, as fetched from a network. The spool's budget may be lower."""
MEDIA_ATTEMPTS_MAX: Final = 5
"""Downloads of one file before the message goes on without it, and says so."""
SPOOL_OCTETS_MAX: Final = 20 * 1024**3
"""All files in the spool; over it the oldest go first."""
TYPING_INTERVAL_MS: Final = 5_000
"""At most one typing signal per person and chat in this time (TYP-1)."""
NAME_CHARS_MAX: Final = 255
"""A display name; longer ones are cut."""
EVENTS_PER_TAKE_MAX: Final = 1_000
"""Native events in one transaction of the inbox."""
PRUNE_AFTER_MS: Final = 30 * 24 * 3_600_000
"""Raw native events are kept 30 days so that a later codec can read them again."""
HOUSEKEEPING_INTERVAL_MS: Final = 3_600_000
"""How often old payloads and spool files are looked for."""
TYPISTS_MAX: Final = 1_000
"""People whose typing is remembered; more at once are simply shown again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an operator may change (`[limits]` and `[agent]` of the configuration)."""

    spool_octets: int = SPOOL_OCTETS_MAX
    """All files in the spool."""
    file_octets: int = MEDIA_OCTETS_MAX
    """One file."""
    keep_ms: int = PRUNE_AFTER_MS
    """How long raw native events and files are kept."""
