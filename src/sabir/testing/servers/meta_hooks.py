"""Plays Meta's side of a webhook: signs bodies, delivers them in order, and again.

A body is delivered until it is answered with 200, as Meta does (which waits longer
between two tries). One is under way at a time, so that their order is the order here.
"""

import asyncio
import hashlib
import hmac
import io
import json
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

RETRY_S: Final = 0.02
"""Between two deliveries of one body; Meta waits seconds to hours."""
ANSWER_TIMEOUT_S: Final = 30.0

Json = Mapping[str, Any]


def signature(octets: bytes, app_secret: str) -> str:
    """Return the header `X-Hub-Signature-256` of a body."""
    digest = hmac.new(app_secret.encode(), octets, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


class MetaHooks:
    """Delivers webhooks to one address; `async with` begins and ends that.

    Args:
        url: where the webhook listens, or will.
        app_secret: key of the signatures.
    """

    def __init__(self, url: str, app_secret: str) -> None:
        self.url = url
        self.paused = False
        """True: nothing is delivered, as if Meta could not be reached either."""
        self.statuses: list[int] = []
        """Every answer, in order."""
        self._app_secret = app_secret
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._last = b""
        self._delivering: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        )
        self._delivering = asyncio.create_task(self._deliver())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._delivering is not None
        assert self._session is not None
        self._delivering.cancel()
        await asyncio.gather(self._delivering, return_exceptions=True)
        await self._session.close()

    def put(self, body: Json) -> None:
        """Have a body delivered after those before it."""
        self._last = json.dumps(body, ensure_ascii=False).encode()
        self._waiting.append(self._last)
        self._wake.set()

    def again(self) -> None:
        """Have the last body delivered once more."""
        self._waiting.append(self._last)
        self._wake.set()

    async def settled(self) -> None:
        """Wait until everything was taken."""
        while self._waiting:
            await asyncio.sleep(RETRY_S)

    async def post(
        self, octets: bytes, *, signed: str | None = None, url: str = ""
    ) -> int:
        """Post a body once, out of turn; return the answer's status.

        Args:
            octets: the body as it is.
            signed: the signature's header; None: the right one; empty: none at all.
            url: another address than ours.
        """
        assert self._session is not None
        header = signature(octets, self._app_secret) if signed is None else signed
        headers = {"Content-Type": "application/json"}
        if header:
            headers["X-Hub-Signature-256"] = header
        async with self._session.post(
            url or self.url, data=io.BytesIO(octets), headers=headers
        ) as answer:
            return answer.status

    async def _deliver(self) -> None:
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            if not self.paused and await self._is_taken(self._waiting[0]):
                self._waiting.popleft()
            else:
                await asyncio.sleep(RETRY_S)

    async def _is_taken(self, octets: bytes) -> bool:
        try:
            status = await self.post(octets)
        except (aiohttp.ClientError, TimeoutError):
            return False
        self.statuses.append(status)
        return status == 200
