"""What goes out: one request at a time per chat, with notes before and after."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, assert_never

import structlog

from sabir.errors import CredentialsRefused, PolicyRefused, Unavailable
from sabir.networks.api import (
    Finding,
    Host,
    IdempotencyKey,
    InDoubt,
    NotSent,
    Outcome,
    Outgoing,
    Refused,
    Sent,
)
from sabir.networks.signal import names
from sabir.networks.signal.attempts import Attempt, Attempts, State
from sabir.networks.signal.book import Book
from sabir.networks.signal.media import attachment
from sabir.networks.signal.pace import Pace
from sabir.networks.signal.render import Request, Unsendable, render
from sabir.networks.signal.rpc import Daemon
from sabir.networks.signal.trust import Trust
from sabir.networks.signal.verdicts import (
    Later,
    Never,
    RpcError,
    Unlinked,
    Untrusted,
    accepted,
    judge,
)

AT_ONCE_MAX: Final = 4
"""Sends under way: a slow chat delays no other, and order matters per chat only."""
SEND_S: Final = 300.0
"""A group of a thousand, with a file, over a slow line."""
TRIES_MAX: Final = 5
"""Of a message whose error nobody can explain."""
UNANSWERED: Final = (
    "the connection to the daemon broke before it answered; signal-cli keeps no record"
    " by which to ask, so look into the chat on your phone before you send it again"
)
KNOWS_TIMES: Final = "knows_times"
"""The daemon's version, once it has used a time of ours: then it repeats nothing."""

_log = structlog.get_logger(__name__)


class Outbox:
    """Sends pieces, and says what became of them."""

    def __init__(
        self,
        daemon: Daemon,
        host: Host,
        *,
        number: str,
        version: str,
        book: Book,
        trust: Trust,
        attempts: Attempts,
        pace: Pace,
        folder: Path | None,
    ) -> None:
        self._daemon = daemon
        self._host = host
        self._number = number
        self._version = version
        self._book = book
        self._trust = trust
        self._attempts = attempts
        self._pace = pace
        self._folder = folder
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._knows_times = False
        self.unlinked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with `CredentialsRefused` when the account is gone."""

    async def load(self) -> None:
        """Read what earlier lives noted."""
        await self._attempts.load()
        known = await self._host.recall(KNOWS_TIMES)
        self._knows_times = known is not None and known == self._version

    def is_ours(self, sent_at: int) -> bool:
        """Tell whether a message of the owner is one that we sent."""
        return self._attempts.knows_time(sent_at)

    # ---- sending

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send one piece.

        Raises:
            Unavailable: not now.
        """
        known = self._attempts.find(outgoing.key)
        if known is not None and known.state is State.SENT:
            return self._sent(known)
        try:
            request = render(outgoing, me=self._book.me)
            if isinstance(request, Unsendable):
                return Refused(key=outgoing.key, reason=request.reason)
            async with self._slots:
                return await self._deliver(outgoing, request)
        except PolicyRefused as refusal:
            return Refused(key=outgoing.key, reason=str(refusal))

    async def _deliver(self, outgoing: Outgoing, request: Request) -> Outcome:
        self._pace.check()
        await self._trust.check(outgoing.chat)
        if request.file is None:
            return await self._request(outgoing, request, request.params)
        if outgoing.media is None:
            return Refused(key=outgoing.key, reason="the file is not here any more")
        async with attachment(
            request.file, outgoing.media, outgoing.key, self._folder
        ) as source:
            params = {**request.params, "attachment": [source]}
            return await self._request(outgoing, request, params)

    async def _request(
        self, outgoing: Outgoing, request: Request, params: Mapping[str, Any]
    ) -> Outcome:
        await self._pace.turn()
        attempt = await self._attempts.begin(outgoing.key, now=self._host.clock.now())
        full = {"account": self._number, **params, "timestamp": attempt.sent_at}
        try:
            result = await self._daemon.call(request.method, full, timeout_s=SEND_S)
        except RpcError as error:
            await self._attempts.settle(attempt, State.NOT_SENT)
            return await self._failed(outgoing, attempt, error)
        answer = accepted(result)
        if answer.pause_ms:
            self._pace.pause(answer.pause_ms, "Signal limits this account")
        await self._learn(used_our_time=answer.sent_at == attempt.sent_at)
        lost = (*request.lost, *answer.lost)
        done = await self._attempts.settle(
            attempt, State.SENT, sent_at=answer.sent_at, lost=lost
        )
        self._book.put(self._book.me, done.sent_at, outgoing.chat)
        return self._sent(done)

    def _sent(self, attempt: Attempt) -> Sent:
        me = self._book.me
        native_id = names.message_id(me, attempt.sent_at)
        return Sent(key=attempt.key, native_id=native_id, author=me, lost=attempt.lost)

    async def _learn(self, *, used_our_time: bool) -> None:
        """Notice whether the daemon names messages by the time that we ask for."""
        if used_our_time != self._knows_times:
            self._knows_times = used_our_time
            await self._host.remember(
                KNOWS_TIMES, self._version if used_our_time else ""
            )

    async def _failed(
        self, outgoing: Outgoing, attempt: Attempt, error: RpcError
    ) -> Outcome:
        verdict = judge(error)
        _log.info("send_failed", code=error.code, verdict=type(verdict).__name__)
        match verdict:
            case Never(reason=reason):
                return Refused(key=outgoing.key, reason=reason)
            case Untrusted(people=people):
                await self._trust.lost(people, outgoing.chat)
                raise Unavailable(self._trust.paused)
            case Unlinked(detail=detail):
                if not self.unlinked.done():
                    self.unlinked.set_exception(CredentialsRefused(detail))
                raise Unavailable(detail)
            case Later(pauses_account=True, detail=detail, retry_after_ms=wait_ms):
                self._pace.pause(wait_ms or 0, detail)
                raise Unavailable(detail, retry_after_ms=wait_ms)
            case Later(is_unexplained=True, detail=detail):
                if attempt.tries < TRIES_MAX:
                    raise Unavailable(detail)
                return Refused(
                    key=outgoing.key, reason=f"{detail}; tried {TRIES_MAX} times"
                )
            case Later(detail=detail):
                raise Unavailable(detail)
            case _:
                assert_never(verdict)

    # ---- finding out

    def lookup(self, key: IdempotencyKey) -> Finding:
        """Say what became of an earlier attempt.

        A send that never began, or that the daemon refused, was not sent. One whose
        answer was lost may be repeated only with a daemon that knows it by its time.
        """
        known = self._attempts.find(key)
        if known is None or known.state is State.NOT_SENT:
            return NotSent()
        if known.state is State.SENT:
            return self._sent(known)
        return NotSent() if self._knows_times else InDoubt(UNANSWERED)
