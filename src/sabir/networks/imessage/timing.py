"""How often things are done, and how long is waited; tests have less patience."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Spans of one account."""

    look_ms: int = 30_000
    """Events get lost: so often the database is asked without one."""
    pace_ms: int = 1_000
    """However many events come, one look a second."""
    health_ms: int = 60_000
    """So often the Mac is asked how it is."""
    text_doubt_ms: int = 150_000
    """After it, a text that is not there was not sent (the server's limit: 120 s)."""
    file_doubt_ms: int = 25 * 60_000
    """Likewise a file (20 min)."""
    tries_max: int = 2
    """What was lost once is sent once again; then it is ambiguous."""
    quiet_ms: int = 86_400_000
    """Without a message for so long, the owner is asked to look at the Mac."""


NORMAL = Timing()
