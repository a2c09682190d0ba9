"""Named limits of the agent's side of a provider."""

from typing import Final

ECHO_WAIT_MS: Final = 45_000
"""How long an operation that the hub has taken is waited for in our stream, where its
place in the room's order is; then the hub's answer counts alone, as nothing of ours
can go on before. More than a slow provider takes to start again and catch up."""
PLACE_WAIT_MS: Final = 600_000
"""The same for a message, which holds up nothing. A stream that has come to what the
hub took later has left it out; then nothing is waited for."""
SETTLE_MS: Final = 500
"""How long our stream is open before something is sent again: it may tell first that
the hub had taken it, perhaps days ago."""
CATCH_UP_MS: Final = 30_000
"""How long a commit that was faster than ours is waited for; then we resynchronise."""
MISSING_WAIT_MS: Final = 2_000
"""How long proposals are waited for that the hub says we do not have."""
HINDERED_MS: Final = 10_000
"""How long a commit that we may not make is left to others before we look again."""
SEALED_AT_ONCE_MAX: Final = 16
"""Messages sealed before they are submitted; a commit makes the rest wait no longer."""
JOIN_ATTEMPTS_MAX: Final = 8
"""Commits to join that lost a race, one after the other."""
RESYNC_INTERVAL_MS: Final = 3_600_000
"""A hub lets a client come in anew once an hour (7.5)."""
STOCK: Final = 100
"""One-time KeyPackages at the provider (4.4)."""
STOCK_LOW: Final = 50
"""Refill below this many."""
TOKEN_MARGIN_MS: Final = 300_000
"""A token is renewed so long before its end."""
REFUSED_FOR_MS: Final = 3_600_000
"""How long a provider that refused our device is not asked for a token again."""
KEY_PACKAGE_GRACE_MS: Final = 7 * 86_400_000
"""How long secrets are kept beyond a KeyPackage's end: a Welcome may be on its way."""
ANSWER_WAIT_S: Final = 60
"""How long a person waits for an answer; what was asked goes on by itself."""
EVENTS_PER_ACK: Final = 64
"""Events that are acknowledged together at the most; a pause acknowledges, too."""
ACK_PAUSE_S: Final = 0.2
"""What counts as a pause."""
INTRODUCE_AFTER_MS: Final = 1_000
"""How long people of a linked chat are collected before they are listed together."""
GHOSTS_AT_ONCE_MAX: Final = 64
"""Ghosts that one commit lists."""
TICK_MS: Final = 60_000
"""How often a room looks whether its keys are due to be renewed."""
NOTICE_CHARS_MAX: Final = 500
"""Of what is noted down for people."""
ERRAND_ATTEMPTS_MAX: Final = 64
"""Attempts at an errand while the provider does not answer: about an hour."""
JOIN_PAUSE_MS: Final = 200
"""Between two attempts to join, so that the faster ones come to their end."""
NEW_DEVICE_WAIT_MS: Final = 5_000
"""Until a new device of ours is added by this one."""
EVENT_ATTEMPTS_MAX: Final = 5
"""Attempts at an event that breaks us, before we go on without it."""
STOCK_INTERVAL_MS: Final = 6 * 3_600_000
"""How often we look whether KeyPackages at the provider have come to their end."""
HISTORY_ASK_MS: Final = 7 * 86_400_000
"""How long a new device's question for history can be answered."""
HISTORY_ASKS_MAX: Final = 32
"""Devices that ask at a time: all that a user may have."""
EVIDENCE_OCTETS_MAX: Final = 64 * 1024
"""What is kept of one thing that a hub did wrong: most commits; all notices together
stay below some hundred MiB, whatever a hub does."""
