"""Updates on their way to the bot: acknowledged by offset, or by the webhook's 200."""

import asyncio
import contextlib
import copy
from typing import Any, Final

import aiohttp

from sabir.testing.telegram.shell import Refusal

HOOK_RETRY_S: Final = 0.05
OPT_IN: Final = frozenset({"message_reaction", "message_reaction_count", "chat_member"})
"""Updates that come only to those who ask for them by name."""

Json = dict[str, Any]


class Updates:
    """What waits for the bot."""

    def __init__(self) -> None:
        self._waiting: list[Json] = []
        self._next = 1_000
        self._last: Json = {}
        self._allowed: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._poll = 0
        self._hook: Json | None = None
        self._hook_task: asyncio.Task[None] | None = None
        self.hook_answers: list[int] = []
        """What the webhook has answered, newest last."""

    def add(self, kind: str, content: Json) -> Json:
        """Queue an update, if the bot wants this kind; return it."""
        # A copy: what happens to the message later does not change what was said.
        update = {"update_id": self._next, kind: copy.deepcopy(content)}
        self._next += 1
        if kind not in OPT_IN or kind in self._allowed:
            self._last = update
            self._waiting.append(update)
            self._changed.set()
        return update

    def redeliver(self) -> None:
        """Call the webhook with the newest update once more."""
        self._waiting.append(self._last)
        self._changed.set()

    def renumber(self, number: int) -> None:
        """Let the next update have this id."""
        self._next = number

    @property
    def count(self) -> int:
        """Return how many updates wait."""
        return len(self._waiting)

    # ---- polling

    async def get(self, params: Json) -> list[Json]:
        """Answer `getUpdates`."""
        if self._hook is not None:
            text = "Conflict: can't use getUpdates method while webhook is active"
            raise Refusal(409, text)
        self._allowed = frozenset(params.get("allowed_updates", ()))
        offset = params.get("offset")
        if offset is not None:  # everything before it is acknowledged
            self._waiting = [u for u in self._waiting if u["update_id"] >= offset]
        self._poll += 1
        mine = self._poll
        self._changed.set()  # an earlier poll ends
        deadline = asyncio.get_running_loop().time() + params.get("timeout", 0)
        while not self._waiting:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
            if mine != self._poll:
                text = (
                    "Conflict: terminated by other getUpdates request; make sure that "
                    "only one bot instance is running"
                )
                raise Refusal(409, text)
        return self._waiting[: params.get("limit", 100)]

    # ---- webhook

    def start(self) -> None:
        """Be ready to call a webhook."""
        self._hook_task = asyncio.get_running_loop().create_task(self._call_hook())

    @property
    def hook_url(self) -> str:
        """Return the webhook's address, empty if there is none."""
        return str(self._hook["url"]) if self._hook is not None else ""

    def hook(self, params: Json) -> None:
        """Call a webhook from now on."""
        self._allowed = frozenset(params.get("allowed_updates", ()))
        self._hook = params
        self._changed.set()

    def unhook(self) -> None:
        """Call no webhook any more."""
        self._hook = None
        self._changed.set()

    async def _call_hook(self) -> None:
        """Call the webhook with one update after the other until it says 200."""
        async with aiohttp.ClientSession() as session:
            while True:
                if self._hook is None or not self._waiting:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                if not await self._call(session, self._hook, self._waiting[0]):
                    await asyncio.sleep(HOOK_RETRY_S)

    async def _call(
        self, session: aiohttp.ClientSession, hook: Json, update: Json
    ) -> bool:
        proof = {"X-Telegram-Bot-Api-Secret-Token": hook["secret_token"]}
        try:
            async with session.post(hook["url"], json=update, headers=proof) as answer:
                self.hook_answers.append(answer.status)
                if answer.status != 200:
                    return False
        except aiohttp.ClientError:
            return False
        self._waiting.remove(update)
        return True

    async def close(self) -> None:
        """End the calls."""
        if self._hook_task is not None:
            self._hook_task.cancel()
            await asyncio.gather(self._hook_task, return_exceptions=True)
            self._hook_task = None
