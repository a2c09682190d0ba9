"""Moments, for people."""

from datetime import UTC, datetime
from typing import Final

from sabir.cli.system import SystemClock

_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def ago(at_ms: int) -> str:
    """Say how long ago a moment was."""
    passed = max(0, SystemClock().now() - at_ms)
    for ms, unit in _UNITS:
        if passed >= ms:
            return f"{passed // ms} {unit} ago"
    return "just now"


def clock_time(at_ms: int) -> str:
    """Return the time of day, in the owner's zone."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone().strftime("%H:%M")
