"""What is looked after while an account runs: groups, decisions on keys, liveness."""

import asyncio
from collections.abc import Sequence
from typing import Final

from sabir.clock import Clock
from sabir.errors import CredentialsRefused
from sabir.networks.api import ChatId, ConnectionState, Host, NativeEvent, PersonId
from sabir.networks.signal import names
from sabir.networks.signal.book import Book
from sabir.networks.signal.envelope import Seen, seen
from sabir.networks.signal.groups import changes, noted
from sabir.networks.signal.intake import Intake
from sabir.networks.signal.rpc import Daemon
from sabir.networks.signal.trust import Trust
from sabir.networks.signal.verdicts import RpcError, Unlinked, judge

LOOK_MS: Final = 15 * 60_000
"""How often the daemon is asked whether the account still works: each time asks
Signal's service about our own number."""
KEPT: Final = "linked; what arrives is kept by the daemon until it is stored here"
AT_RISK: Final = (
    "linked; signal-cli keeps nothing once it has handed it on, so a crash in that"
    " moment loses a message here (it is still on your phone)"
)
LOSSY: Final = (
    "linked, but the daemon receives also while Sabir is away and forgets: start it"
    " with --receive-mode=manual"
)


class Watch:
    """Looks after one account."""

    def __init__(
        self,
        daemon: Daemon,
        host: Host,
        *,
        number: str,
        book: Book,
        trust: Trust,
        intake: Intake,
        clock: Clock,
        look_ms: int = LOOK_MS,
    ) -> None:
        self._daemon = daemon
        self._host = host
        self._number = number
        self._book = book
        self._trust = trust
        self._intake = intake
        self._clock = clock
        self._look_ms = look_ms

    def report(self) -> None:
        """Say how the account is, and how safe what arrives."""
        detail = KEPT if self._intake.can_acknowledge else AT_RISK
        if self._intake.is_lossy:
            detail = LOSSY
        self._host.report(ConnectionState.CONNECTED, detail)

    async def follow(self) -> None:
        """Ask about what has changed, whenever something has; until cancelled."""
        while True:
            await self._intake.wake.wait()
            self._intake.wake.clear()
            self.report()
            if self._intake.contacts_changed:
                self._intake.contacts_changed = False
                await self._book.load(self._daemon)
                await self.compare(self._intake.chats)
            groups, self._intake.changed_groups = self._intake.changed_groups, set()
            for group in sorted(groups):
                await self._book.load_groups(self._daemon, group)
                chat = names.group_chat(group)
                if chat is not None:
                    await self.compare([chat])

    async def look(self) -> None:
        """Ask from time to time whether the account still works, until cancelled.

        Raises:
            CredentialsRefused: the device was unlinked.
            Unavailable: the daemon does not answer.
        """
        while True:
            await self._clock.sleep(self._look_ms)
            await self.ask()
            await self._trust.review()
            self.report()

    async def ask(self) -> None:
        """Ask Signal's service something, once."""
        params = {"account": self._number, "recipient": [self._number]}
        try:
            await self._daemon.call("getUserStatus", params)
        except RpcError as error:
            verdict = judge(error)
            if isinstance(verdict, Unlinked):
                raise CredentialsRefused(verdict.detail) from error
            detail = f"Signal's service does not answer the daemon ({error})"
            self._host.report(ConnectionState.CONNECTED, detail)

    async def compare(self, chats: Sequence[ChatId] | set[ChatId]) -> None:
        """Hand on what is different in groups since they were looked at last."""
        for chat in sorted(chats):
            group = self._book.groups.get(names.place(chat).group or "")
            if group is None or chat not in self._intake.chats:
                continue
            memory = f"group/{group.id}"
            note = await self._host.recall(memory)
            before = None if note is None else noted(note, self._book.me)
            number = 0
            if before is not None:
                number = before[1] + 1
                events = [
                    self._event(chat, number, kind, person, value)
                    for kind, person, value in changes(before[0], group)
                ]
                if not events:
                    continue
                await self._host.take(events)
            if group.members:
                await self._host.remember(memory, group.to_json(number))

    def _event(
        self,
        chat: ChatId,
        number: int,
        kind: Seen,
        person: PersonId | None,
        value: str | int,
    ) -> NativeEvent:
        """Make the event of a change; one of the group itself is told by the owner."""
        who = person or self._book.me
        return seen(
            chat,
            kind,
            person=who,
            name=self._book.name(who),
            at=self._clock.now(),
            number=str(number),
            value=value,
        )


async def gone(unlinked: asyncio.Future[None]) -> None:
    """Wait until a send has shown that the account is gone; raises that."""
    await unlinked
