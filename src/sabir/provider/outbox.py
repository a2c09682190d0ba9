"""Fan-out to followers: one ordered queue per room and follower (D-26).

What a follower does not take stays, in order; a follower in trouble delays its own
queues only.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import structlog

from sabir.clock import Clock, Instant
from sabir.errors import StorageFailed
from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.peers import PeerAnswer, PeerFailed, Peers
from sabir.storage.provider.ports import Outbox
from sabir.storage.provider.records import QueuedMessage, QueueRecord, QueueState

BATCH_MESSAGES_MAX: Final = 256
BATCH_OCTETS_MAX: Final = 1024 * 1024
"""Of one request (D-26); a larger message goes alone."""
BACKOFF_MIN_MS: Final = 1_000
BACKOFF_MAX_MS: Final = 3_600_000
"""Before another attempt; doubling, less a random part of up to a half."""
GIVE_UP_MS: Final = 7 * 24 * 3_600_000
GIVE_UP_MESSAGES: Final = 100_000
"""A follower that long, or that far behind, is unreachable in this room."""
REQUESTS_MAX: Final = 64
"""Under way at a time."""
REQUESTS_PER_FOLLOWER: Final = 4
"""Under way at a time; a follower has other things to ask us, too."""
DUE_MAX: Final = 256
"""Queues looked at in one go."""
LOOK_MS: Final = 60_000
"""The longest time between two looks at the queues."""
BUSY_LOOK_MS: Final = 1_000
"""The same, while the queue that is due next is under way."""
SPREAD_MAX: Final = 256
"""Messages put into many queues in one transaction."""
SPREAD_PAUSE_MS: Final = 100
"""Before that: so that they are several, where much is said."""
STORAGE_RETRY_MS: Final = 5_000
"""Before the disk is tried again."""
ANSWER_OCTETS_MAX: Final = 4_096
"""Of a follower's answer; a good one is empty."""

_PERMANENT: Final = frozenset({400, 413, 422})
_REFUSED: Final = frozenset({403, 421})
_DEVIANT: Final = frozenset({200, 202, 204})

_log = structlog.get_logger()


class Fanout:
    """Empties the queues."""

    def __init__(
        self, store: Outbox, peers: Peers, clock: Clock, rng: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._peers = peers
        self._clock = clock
        self._rng = rng
        self._wake = asyncio.Event()
        self._unspread = asyncio.Event()
        self._busy: set[tuple[str, str]] = set()
        self._per_follower: Counter[str] = Counter()
        self._rests: dict[str, float] = {}

    def wake(self) -> None:
        """Say that a queue has grown."""
        self._wake.set()
        self._unspread.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_spreading())
            while True:
                self._wake.clear()
                try:
                    for queue in await self._startable():
                        self._begin(group, queue)
                    await self._until_something_is_due()
                except StorageFailed as failed:
                    _log.error("fan-out waits for the disk", reason=str(failed))
                    await self._clock.sleep(STORAGE_RETRY_MS)

    async def _keep_spreading(self) -> None:
        """Put messages of rooms with many followers into the queues, some at a time."""
        while True:
            self._unspread.clear()
            try:
                now = self._clock.now()
                while await self._store.spread(count_max=SPREAD_MAX, now=now):
                    self._wake.set()
                self._wake.set()
                await self._unspread.wait()
                await self._clock.sleep(SPREAD_PAUSE_MS)
            except StorageFailed as failed:
                _log.error("fan-out waits for the disk", reason=str(failed))
                await self._clock.sleep(STORAGE_RETRY_MS)

    # ---- choosing

    async def _startable(self) -> Sequence[QueueRecord]:
        now_ms = self._clock.monotonic_ms()
        self._rests = {who: at for who, at in self._rests.items() if at > now_ms}
        full = {
            follower
            for follower, count in self._per_follower.items()
            if count >= REQUESTS_PER_FOLLOWER
        }
        return await self._store.due_queues(
            now=self._clock.now(), count_max=DUE_MAX, skip=full | set(self._rests)
        )

    def _begin(self, group: asyncio.TaskGroup, queue: QueueRecord) -> None:
        key = (queue.room, queue.follower)
        if (
            key in self._busy
            or len(self._busy) >= REQUESTS_MAX
            or self._per_follower[queue.follower] >= REQUESTS_PER_FOLLOWER
        ):
            return
        self._busy.add(key)
        self._per_follower[queue.follower] += 1
        task = group.create_task(self._send(queue))
        task.add_done_callback(lambda _: self._end(key))

    def _end(self, key: tuple[str, str]) -> None:
        self._busy.discard(key)
        self._per_follower[key[1]] -= 1
        if not self._per_follower[key[1]]:
            del self._per_follower[key[1]]
        self._wake.set()

    async def _until_something_is_due(self) -> None:
        due = await self._store.next_due_at()
        wait_ms = LOOK_MS if due is None else int(due - self._clock.now())
        if wait_ms <= 0:
            wait_ms = BUSY_LOOK_MS
        waking = self._wake.wait()
        sleeping = self._clock.sleep(min(wait_ms, LOOK_MS))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(waking), group.create_task(sleeping)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    # ---- sending

    async def _send(self, queue: QueueRecord) -> None:
        try:
            await self._send_batch(queue)
        except StorageFailed as failed:
            # What arrived and was not recorded goes again; followers expect that.
            _log.error("fan-out waits for the disk", reason=str(failed))
            await self._clock.sleep(STORAGE_RETRY_MS)

    async def _send_batch(self, queue: QueueRecord) -> None:
        room, follower = queue.room, queue.follower
        batch = await self._store.batch(
            room, follower, count_max=BATCH_MESSAGES_MAX, octets_max=BATCH_OCTETS_MAX
        )
        if not batch:
            return
        body = b"".join(message.octets for message in batch)
        try:
            answer = await self._peers.call(
                follower,
                Endpoint.NOTIFY,
                {"roomId": room},
                body,
                octets_max=ANSWER_OCTETS_MAX,
            )
        except PeerFailed as failed:
            await self._failed(queue, failed.reason, None)
            self._rest(queue)
        except Problem as problem:
            if problem.problem is ProblemCode.UNKNOWN_PEER:
                await self._pause(queue, "we do not talk to it; see the allow list")
            else:
                await self._failed(queue, problem.detail, None)
        else:
            await self._settle(queue, batch, answer)

    async def _settle(
        self, queue: QueueRecord, batch: Sequence[QueuedMessage], answer: PeerAnswer
    ) -> None:
        room, follower, status = queue.room, queue.follower, answer.status
        now = self._clock.now()
        if status == HTTPStatus.CREATED or status in _DEVIANT:
            if status in _DEVIANT:
                await self._peers.deviates(follower, f"notify answers {status}")
            await self._store.batch_done(room, follower)
        elif status == HTTPStatus.GONE:
            await self._store.set_queue_state(
                room, follower, QueueState.GONE, "410 room-gone", now=now
            )
        elif status in _PERMANENT and len(batch) > 1:
            await self._store.batch_halved(room, follower)
        elif status in _PERMANENT:
            reason = f"status {status}"
            _log.warning("message refused for good", peer=follower, reason=reason)
            await self._store.batch_died(room, follower, reason, now=now)
        elif status in _REFUSED:
            await self._pause(queue, f"status {status}")
        else:
            await self._failed(queue, f"status {status}", answer.retry_after_s)

    async def _pause(self, queue: QueueRecord, detail: str) -> None:
        _log.error("follower refuses us", peer=queue.follower, reason=detail)
        await self._store.set_queue_state(
            queue.room,
            queue.follower,
            QueueState.PAUSED,
            detail,
            now=self._clock.now(),
        )

    async def _failed(
        self, queue: QueueRecord, reason: str, retry_after_s: int | None
    ) -> None:
        now = self._clock.now()
        since = now if queue.failing_since is None else queue.failing_since
        if now - since > GIVE_UP_MS or queue.waiting > GIVE_UP_MESSAGES:
            _log.error("follower given up", peer=queue.follower, reason=reason)
            await self._store.set_queue_state(
                queue.room, queue.follower, QueueState.UNREACHABLE, reason, now=now
            )
            return
        wait_ms = max(self._backoff_ms(queue.attempts), 1_000 * (retry_after_s or 0))
        await self._store.batch_failed(
            queue.room,
            queue.follower,
            reason,
            next_at=Instant(now + wait_ms),
            now=now,
        )

    def _rest(self, queue: QueueRecord) -> None:
        """Leave all queues of a follower alone for a while that does not answer."""
        until = self._clock.monotonic_ms() + self._backoff_ms(min(queue.attempts, 5))
        self._rests[queue.follower] = until

    def _backoff_ms(self, attempts: int) -> int:
        longest = min(BACKOFF_MIN_MS << min(attempts, 30), BACKOFF_MAX_MS)
        jitter = int.from_bytes(self._rng(4), "big") / 2**32
        return longest - int(longest / 2 * jitter)
