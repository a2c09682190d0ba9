"""Long polling: the next request is the acknowledgement ("getUpdates")."""

from typing import Any, Final

from sabir.clock import Clock
from sabir.errors import PeerMisbehaved, Unavailable
from sabir.networks.api import ConnectionState, Host
from sabir.networks.telegram.client import BotApi, FloodWait, Rejected
from sabir.networks.telegram.intake import ALLOWED_UPDATES, CURSOR, Intake
from sabir.networks.telegram.notes import Notes

POLL_S: Final = 50
ANSWER_MARGIN_S: Final = 20
"""What an answer may take after its poll is over."""
BATCH_MAX: Final = 100
SILENCE_MS: Final = 6 * 86_400_000
"""After a week without updates Telegram chooses the next id by chance; a day less."""
CONFLICT_RETRY_MS: Final = 60_000
"""Two readers that repeat at once would cut each other off for ever."""


class Poller:
    """Reads the updates of one bot."""

    def __init__(self, api: BotApi, intake: Intake, host: Host, notes: Notes) -> None:
        self._api = api
        self._intake = intake
        self._host = host
        self._notes = notes
        self._clock: Clock = host.clock
        self._last: int | None = None
        self._last_at = 0

    async def run(self) -> None:
        """Read until cancelled: first what waits, then live.

        Raises:
            Unavailable: no answer, or another reader of the same bot.
            CredentialsRefused, PeerMisbehaved, StorageFailed: as they say.
        """
        await self._api.call("deleteWebhook")
        await self._load()
        self._host.report(ConnectionState.CATCHING_UP)
        is_live = False
        while True:
            updates = await self._updates(wait_s=POLL_S if is_live else 0)
            last = await self._intake.take(updates, late=not is_live)
            if last is not None:
                self._last, self._last_at = last, self._clock.now()
            if not is_live and len(updates) < BATCH_MAX:
                is_live = True
                self._notes.connected()

    async def _load(self) -> None:
        cursor = await self._host.cursor(CURSOR)
        if cursor:
            last, _, at = cursor.partition("@")
            self._last, self._last_at = int(last), int(at)

    @property
    def _offset(self) -> int | None:
        """Return what acknowledges everything that is stored.

        After a long silence nothing waits for an acknowledgement, and the next id
        may be smaller than ours: an offset would throw such updates away.
        """
        if self._last is None or self._clock.now() - self._last_at > SILENCE_MS:
            return None
        return self._last + 1

    async def _updates(self, *, wait_s: int) -> list[Any]:
        params: dict[str, Any] = {
            "timeout": wait_s,
            "limit": BATCH_MAX,
            "allowed_updates": list(ALLOWED_UPDATES),
        }
        offset = self._offset
        if offset is not None:
            params["offset"] = offset
        while True:
            try:
                answer = await self._api.call(
                    "getUpdates", params, timeout_s=wait_s + ANSWER_MARGIN_S
                )
            except FloodWait as limited:
                await self._clock.sleep(limited.retry_after_ms or 0)
                continue
            except Rejected as no:
                raise _told(no) from no
            if not isinstance(answer, list):
                raise PeerMisbehaved("TELEGRAM-010", "getUpdates gave no list")
            return answer


def _told(no: Rejected) -> Exception:
    if no.status != 409:
        return no
    return Unavailable(
        "another program reads this bot's updates too, and Telegram gives them to one "
        f"of the two ({no.description}); stop the other one, or make a bot of its own "
        "for Sabir at @BotFather",
        retry_after_ms=CONFLICT_RETRY_MS,
    )
