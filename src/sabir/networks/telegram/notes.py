"""What a person should know while the bot is connected, as one detail of its state.

Each report of a new detail makes the agent open the chats again. So nothing is
reported twice, and several notes stand together instead of replacing each other.
"""

from collections.abc import Mapping
from typing import Final

from sabir.networks.api import ConnectionState, Host

PRIVACY: Final = "privacy"
WEBHOOK: Final = "webhook"
TITLES_MAX: Final = 5
"""So many groups are named; the rest is counted."""


class Notes:
    """The notes of one connection."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._notes: dict[str, str] = {}
        self._deaf: dict[int, str] = {}
        self._reported: str | None = None
        """The last detail; None before we are connected."""

    def connected(self) -> None:
        """Report that the bot is connected, with what is noted so far."""
        self._reported = self._detail
        self._host.report(ConnectionState.CONNECTED, self._reported)

    def note(self, source: str, text: str) -> None:
        """Replace the note of a source; empty: there is nothing to say."""
        self._notes[source] = text
        if self._reported is not None and self._detail != self._reported:
            self.connected()

    def hears(self, group: int, title: str, *, everything: bool) -> None:
        """Note whether the bot hears everything that is said in a group."""
        if everything:
            self._deaf.pop(group, None)
        else:
            self._deaf[group] = title
        self.note(PRIVACY, _privacy(self._deaf))

    @property
    def _detail(self) -> str:
        return "; ".join(
            self._notes[name] for name in sorted(self._notes) if self._notes[name]
        )


def _privacy(deaf: Mapping[int, str]) -> str:
    if not deaf:
        return ""
    titles = [deaf[group] for group in sorted(deaf)]
    named = ", ".join(titles[:TITLES_MAX])
    if len(titles) > TITLES_MAX:
        named += f" and {len(titles) - TITLES_MAX} more"
    return (
        f"the bot hears only commands and answers to itself in {named}: its privacy "
        "mode is on. Turn it off at @BotFather (/setprivacy, Disable), remove the bot "
        "from the group and add it again; or make it an administrator"
    )
