"""What goes out: one request at a time per chat, with notes before and after.

Nothing on this network is idempotent, and AppleScript finds its own message by the
letters of its text; so no second request of a chat is ever under way. A send whose
answer is missing is looked for in the database: found once, it is sent; found several
times, it is ambiguous; not found after the server's own limit, it was not sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from sabir.errors import CredentialsRefused, PeerMisbehaved, Unavailable
from sabir.networks.api import (
    ChatId,
    Finding,
    Host,
    IdempotencyKey,
    InDoubt,
    NativeId,
    NotSent,
    Outcome,
    Outgoing,
    PersonId,
    Refused,
    Sent,
)
from sabir.networks.imessage import names, rows
from sabir.networks.imessage.attempts import Attempt, Attempts, State
from sabir.networks.imessage.client import (
    SEND_TIMEOUT_S,
    BlueBubbles,
    HelperMissing,
    NotReached,
    Rejected,
)
from sabir.networks.imessage.database import Database
from sabir.networks.imessage.render import (
    Action,
    Means,
    Request,
    Unsendable,
    render,
)
from sabir.networks.imessage.timing import Timing

BOUNDARY_OCTETS: Final = 16
HINTS_MAX: Final = 1_000
"""Marks of sends that were announced; each is needed for minutes at most."""
SEVERAL: Final = (
    "the Mac has several new messages of yours with the same content, so nobody can"
    " tell which Sabir sent; look into the chat, and send it again if it is missing"
)
LOST_TWICE: Final = (
    "it was sent twice and the Mac shows neither; look into the chat on your phone, and"
    " at BlueBubbles on the Mac, before you send it again"
)
_CHANGES: Final = frozenset({Action.EDIT, Action.UNSEND})

Json = Mapping[str, Any]
_log = structlog.get_logger(__name__)


class Outbox:
    """Sends pieces of one account, and says what became of them.

    Args:
        api: the server.
        host: ours.
        means: returns what may be used now.
        me: returns the owner's address.
        reachable: says what stops messages to a chat; empty if nothing does.
        last_row: returns the highest row that was read.
        settled: called when a send is settled.
        timing: how long is waited.
    """

    def __init__(
        self,
        api: BlueBubbles,
        host: Host,
        *,
        means: Callable[[], Means],
        reachable: Callable[[ChatId], Awaitable[str]],
        me: Callable[[], PersonId],
        last_row: Callable[[], int],
        settled: Callable[[], None],
        timing: Timing,
    ) -> None:
        self._api = api
        self._database = Database(api)
        self._host = host
        self._means = means
        self._reachable = reachable
        self._me = me
        self._last_row = last_row
        self._settled = settled
        self._timing = timing
        self.attempts = Attempts(host)
        self._locks: dict[ChatId, asyncio.Lock] = {}
        self._hints: dict[str, NativeId] = {}
        self._under_way: set[IdempotencyKey] = set()
        loop = asyncio.get_running_loop()
        self.refused: asyncio.Future[None] = loop.create_future()
        """Fails with `CredentialsRefused` when a send shows a wrong password."""

    # ---- what the intake asks

    def hint(self, temp: str, guid: NativeId) -> None:
        """Note that a mark was announced; it must still be found in the database."""
        self._hints[temp] = guid
        while len(self._hints) > HINTS_MAX:
            del self._hints[next(iter(self._hints))]

    def is_ours(self, guid: NativeId) -> bool:
        """Tell whether a message is one that we sent."""
        return self.attempts.made(guid) is not None

    def is_busy(self, chat: ChatId) -> bool:
        """Tell whether an own message of this chat may be one whose fate is open."""
        return any(
            attempt.state is State.OPEN and not self._is_over(attempt)
            for attempt in self.attempts.of_chat(chat)
        )

    def _is_over(self, attempt: Attempt) -> bool:
        """Tell whether nobody will settle a send any more."""
        if attempt.key in self._under_way:
            return False
        age_ms = self._host.clock.now() - attempt.at
        return age_ms > 2 * self._doubt_ms(attempt) + self._timing.look_ms

    def _doubt_ms(self, attempt: Attempt) -> int:
        is_file = attempt.action == Action.FILE
        return self._timing.file_doubt_ms if is_file else self._timing.text_doubt_ms

    async def claim(self, chat: ChatId, row: Json) -> bool:
        """Tell whether a message may be one of those that nobody can tell apart.

        Each ambiguous send claims one of the messages that look like it, so that the
        room gets as many as there are.
        """
        guid = rows.guid(row)
        mark = rows.mark_of(row)
        for attempt in self.attempts.of_chat(chat):
            is_open = attempt.state in {State.DOUBT, State.OPEN} and not attempt.guid
            is_it = attempt.mark == mark and rows.rowid(row) > attempt.after_row
            if guid is not None and is_open and is_it:
                why = attempt.why or SEVERAL
                await self.attempts.settle(attempt, State.DOUBT, guid=guid, why=why)
                return True
        return False

    # ---- sending

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send one piece.

        Raises:
            Unavailable: not now, or nobody knows yet.
        """
        known = self.attempts.find(outgoing.key)
        if known is not None and known.state is State.SENT:
            return self._sent(known)
        async with self._locks.setdefault(outgoing.chat, asyncio.Lock()):
            means = self._means_for(outgoing)
            request = render(outgoing, means)
            if isinstance(request, Unsendable):
                return Refused(key=outgoing.key, reason=request.reason)
            if stop := await self._reachable(outgoing.chat):
                return Refused(key=outgoing.key, reason=stop)
            attempt = await self.attempts.begin(self._attempt(outgoing, request, known))
            self._under_way.add(outgoing.key)
            try:
                return await self._deliver(outgoing, request, attempt)
            finally:
                self._under_way.discard(outgoing.key)
                self._settled()

    def _means_for(self, outgoing: Outgoing) -> Means:
        target = getattr(outgoing.piece, "target", None)
        guid = names.guid(getattr(target, "native_id", None))
        if guid is None:
            return self._means()
        made = self.attempts.changes(guid, Action.EDIT)
        others = [each for each in made if each.key != outgoing.key]
        return replace(self._means(), edits_made=len(others))

    def _attempt(
        self, outgoing: Outgoing, request: Request, known: Attempt | None
    ) -> Attempt:
        tries = 1 if known is None else known.tries + 1
        return Attempt(
            key=outgoing.key,
            slot=0,
            chat=outgoing.chat,
            action=request.action,
            mark=request.mark,
            target=request.target or "",
            temp=names.temp_guid(outgoing.chat, outgoing.key, tries),
            after_row=self._last_row(),
            at=self._host.clock.now(),
            tries=tries,
            lost=request.lost,
        )

    async def _deliver(
        self, outgoing: Outgoing, request: Request, attempt: Attempt
    ) -> Outcome:
        try:
            answer = await self._request(outgoing, request, attempt)
        except Rejected as no:
            await self.attempts.settle(attempt, State.NOT_SENT)
            reason = f"{no}; it was not sent"
            return Refused(key=outgoing.key, reason=reason)
        except (NotReached, HelperMissing):
            await self.attempts.settle(attempt, State.NOT_SENT)
            raise
        except CredentialsRefused as refused:
            await self.attempts.settle(attempt, State.NOT_SENT)
            if not self.refused.done():
                self.refused.set_exception(refused)
            raise Unavailable(str(refused)) from refused
        except PeerMisbehaved as odd:  # it may have gone out: in doubt
            raise Unavailable(str(odd)) from odd
        if request.action in _CHANGES:
            done = await self.attempts.settle(attempt, State.SENT)
            return self._sent(done)
        row = answer if isinstance(answer, Mapping) else {}
        guid = rows.guid(row)
        is_it = rows.mark_of(row) == attempt.mark
        if guid is not None and is_it and not self.is_ours(guid):
            done = await self.attempts.settle(attempt, State.SENT, guid=guid)
            return self._sent(done)
        _log.warning("answer_names_another_message", action=attempt.action)
        raise Unavailable("the Mac answered with another message; it is looked up")

    async def _request(
        self, outgoing: Outgoing, request: Request, attempt: Attempt
    ) -> Any:
        body = dict(request.body)
        if request.action in {Action.TEXT, Action.FILE}:
            body["tempGuid"] = attempt.temp
        if request.file is None or outgoing.media is None:
            return await self._api.post(request.path, body, timeout_s=SEND_TIMEOUT_S)
        return await self._api.upload(
            request.path,
            body,
            file=request.file,
            media=outgoing.media,
            boundary=self._host.rng(BOUNDARY_OCTETS).hex(),
        )

    def _sent(self, attempt: Attempt) -> Sent:
        return Sent(
            key=attempt.key,
            native_id=NativeId(attempt.guid),
            author=self._me(),
            lost=attempt.lost,
        )

    # ---- finding out

    async def lookup(self, key: IdempotencyKey) -> Finding:
        """Say what became of an earlier attempt.

        Raises:
            Unavailable: the server may still be at it; ask later.
        """
        known = self.attempts.find(key)
        if known is None or known.state is State.NOT_SENT:
            return NotSent()
        if known.state is State.SENT:
            return self._sent(known)
        if known.state is State.DOUBT:
            return InDoubt(known.why)
        finding = await self._look(known)
        self._settled()
        return finding

    async def _look(self, attempt: Attempt) -> Finding:
        if attempt.action in _CHANGES:
            return await self._look_at_change(attempt)
        found = await self._candidates(attempt)
        hinted = self._hints.get(attempt.temp)
        if hinted is not None and hinted in found:
            found = [hinted]
        if len(found) == 1:
            done = await self.attempts.settle(attempt, State.SENT, guid=found[0])
            return self._sent(done)
        if found:
            await self.attempts.settle(attempt, State.DOUBT, why=SEVERAL)
            return InDoubt(SEVERAL)
        return await self._not_found(attempt)

    async def _candidates(self, attempt: Attempt) -> list[NativeId]:
        """Return the messages that may be the one we sent."""
        found = []
        for row in await self._database.own_after(attempt.after_row):
            guid = rows.guid(row)
            if guid is None or rows.chat_of(row) != attempt.chat:
                continue
            if rows.mark_of(row) == attempt.mark and not self.is_ours(guid):
                found.append(guid)
        return found

    async def _not_found(self, attempt: Attempt) -> Finding:
        age_ms = self._host.clock.now() - attempt.at
        wait_ms = self._doubt_ms(attempt) - age_ms
        if wait_ms > 0:
            raise Unavailable(
                "the Mac may still be sending it; it is looked for again",
                retry_after_ms=wait_ms,
            )
        if attempt.tries >= self._timing.tries_max:
            await self.attempts.settle(attempt, State.DOUBT, why=LOST_TWICE)
            return InDoubt(LOST_TWICE)
        await self.attempts.settle(attempt, State.NOT_SENT)
        return NotSent()

    async def _look_at_change(self, attempt: Attempt) -> Finding:
        """Say whether a change was made; making it twice is harmless."""
        row = await self._database.find(NativeId(attempt.target))
        is_made = row is not None and (
            rows.is_unsent(row)
            if attempt.action == Action.UNSEND
            else attempt.action == Action.EDIT and rows.mark_of(row) == attempt.mark
        )
        state = State.SENT if is_made else State.NOT_SENT
        done = await self.attempts.settle(attempt, state)
        return self._sent(done) if is_made else NotSent()
