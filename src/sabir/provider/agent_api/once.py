"""Idempotency keys: what was done once is not done again (8.1, MC-102)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from sabir.clock import Clock
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.http import Answer
from sabir.storage.provider.ports import Devices
from sabir.storage.provider.records import StoredAnswer


class Once:
    """Answers that are given again.

    Only what succeeded is kept: after an error nothing has happened, and the same key
    may try again.
    """

    def __init__(self, store: Devices, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._under_way: dict[tuple[str, str], tuple[asyncio.Lock, list[None]]] = {}

    async def answer(
        self,
        device: str,
        key: str,
        digest: bytes,
        make: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Return the answer that was given before, or make one.

        Args:
            device: who asks.
            key: of the request.
            digest: from `request_digest`.
            make: answers for the first time.

        Raises:
            Problem: IDEMPOTENCY_CONFLICT, another request had this key; as `make`.
        """
        async with self._alone(device, key):
            stored = await self._store.answer_of(device, key)
            if stored is not None:
                return _again(stored, digest)
            answer = await make()
            if answer.status < HTTPStatus.MULTIPLE_CHOICES:
                await self._store.remember_answer(
                    device,
                    key,
                    StoredAnswer(
                        request=digest,
                        status=answer.status,
                        content_type=answer.content_type,
                        response=answer.body,
                    ),
                    now=self._clock.now(),
                )
            return answer

    @asynccontextmanager
    async def _alone(self, device: str, key: str) -> AsyncIterator[None]:
        """Let a repetition wait for the first attempt."""
        lock, users = self._under_way.setdefault((device, key), (asyncio.Lock(), []))
        users.append(None)
        try:
            async with lock:
                yield
        finally:
            users.pop()
            if not users:
                del self._under_way[device, key]


def request_digest(method: str, path: str, body: bytes) -> bytes:
    """Return by what a repeated request is known."""
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _again(stored: StoredAnswer, digest: bytes) -> Answer:
    if stored.request != digest:
        raise Problem(
            ProblemCode.IDEMPOTENCY_CONFLICT,
            "the idempotency key was used for another request: take a new one",
        )
    return Answer(
        status=stored.status, body=stored.response, content_type=stored.content_type
    )
