"""A gate in front of crabline's Bot API: checks every request, and fills what it lacks.

crabline has no `getChat`, `getChatMember` and `getFile`; the gate answers these by
the rules of the Bot API, and passes everything else on as it came.
"""

import io
import json
from typing import Any, Final

import aiohttp

from sabir.testing.telegram.shell import BotApiServer, Refusal

ANSWER_S: Final = 70.0
"""A long poll has 50."""


class CrablineGate(BotApiServer):
    """The Bot API as crabline has it.

    Args:
        upstream: crabline's address.
        token: of its bot.
        titles: the chats that exist, number to title.
    """

    def __init__(self, upstream: str, token: str, titles: dict[int, str]) -> None:
        super().__init__(token)
        self._upstream = upstream
        self._titles = titles

    async def answer(self, method: str, params: dict[str, Any]) -> Any:
        """Ask crabline, or stand in for it."""
        if method == "getChat":
            return self._chat(params["chat_id"])
        if method == "getChatMember":
            user = {"id": params["user_id"], "is_bot": True, "first_name": "Crabline"}
            return {"status": "member", "user": user}
        return await self._ask(method, params)

    def _chat(self, number: int | str) -> dict[str, Any]:
        if not isinstance(number, int) or number not in self._titles:
            raise Refusal(400, "Bad Request: chat not found")
        return {
            "id": number,
            "type": "supergroup" if number < 0 else "private",
            "title": self._titles[number],
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": {
                "unlimited_gifts": False,
                "limited_gifts": False,
                "unique_gifts": False,
                "premium_subscription": False,
                "gifts_from_channels": False,
            },
        }

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        url = f"{self._upstream}/bot{self.token}/{method}"
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, **_body(params)) as answer,
        ):
            body = await answer.json()
        if not body["ok"]:
            raise Refusal(body["error_code"], body["description"])
        return body["result"]

    async def file(self, path: str) -> bytes | None:
        """Return nothing: crabline gives no files."""
        return None


def _body(params: dict[str, Any]) -> dict[str, Any]:
    if not any(isinstance(value, bytes) for value in params.values()):
        return {"json": params}
    form = aiohttp.FormData()
    for name, value in params.items():
        if isinstance(value, bytes):
            form.add_field(name, io.BytesIO(value), filename=name)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            form.add_field(name, text)
    return {"data": form}
