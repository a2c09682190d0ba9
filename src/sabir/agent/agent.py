"""The agent: accounts, portals and rooms, put together and kept running."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from sabir.agent.accounts import AccountRuntime, ConnectionStatus
from sabir.agent.attachments import Attachments
from sabir.agent.delivery import Delivery
from sabir.agent.host import AccountHost
from sabir.agent.ingest import Ingest
from sabir.agent.limits import HOUSEKEEPING_INTERVAL_MS, Budget
from sabir.agent.naming import new_room_id
from sabir.agent.outgoing import Preparer
from sabir.agent.portals import Portal, Portals
from sabir.agent.rooms import (
    LOCAL_DOMAIN,
    LocalRooms,
    ProviderRoomPort,
    RoomsByDomain,
)
from sabir.agent.signals import Signals
from sabir.agent.spool import Spool
from sabir.agent.supervisor import attempt, keep_connected, keep_running
from sabir.clock import Clock, Instant
from sabir.errors import CredentialsRefused, Error, PolicyRefused, Unavailable
from sabir.networks.api import (
    ChatId,
    ChatInfo,
    ConnectionState,
    Connector,
    ListsChats,
    Rng,
)
from sabir.storage.ports import Storage
from sabir.storage.records import (
    NewPortal,
    PortalCounts,
    PortalId,
    PortalRecord,
    PortalState,
    RoomId,
    RoomRecord,
)

OPEN_CHAT_TIMEOUT_S: Final = 60
"""How long a person waits for `sabir link` at the most."""

_DEFAULT_BUDGET: Final = Budget()

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConnector:
    """An account and the connector that speaks for it."""

    id: str
    network: str
    connector: Connector


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account, for people."""

    id: str
    network: str
    status: ConnectionStatus
    last_in: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """Everything `sabir status` shows."""

    accounts: Sequence[AccountView]
    rooms: Sequence[RoomRecord]
    portals: Sequence[PortalRecord]
    counts: Mapping[PortalId, PortalCounts]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAddress:
    """One chat of one account."""

    account: str
    chat: str


class Agent:
    """Runs all accounts and portals of one owner over one database.

    Args:
        storage: an open storage.
        accounts: the owner's accounts with their connectors.
        spool_folder: where files go.
        owner: the owner's name in our own URIs (`[a-z0-9-]+`).
        clock, rng: time and randomness.
        budget: limits that the operator may change.
    """

    def __init__(
        self,
        storage: Storage,
        accounts: Sequence[AccountConnector],
        *,
        spool_folder: Path,
        owner: str,
        clock: Clock,
        rng: Rng,
        budget: Budget = _DEFAULT_BUDGET,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._rng = rng
        self._keep_ms = budget.keep_ms
        self._owner_uri = f"mimi://{LOCAL_DOMAIN}/u/{owner}"
        self._portals = Portals()
        self._spool = Spool(spool_folder, storage, clock=clock, rng=rng, budget=budget)
        self._rooms = RoomsByDomain(LocalRooms(storage, self._portals, clock))
        self._signals = Signals(self._portals, self, storage, clock)
        self._accounts = {
            each.id: AccountRuntime(
                each.id, each.network, each.connector, now=clock.now()
            )
            for each in accounts
        }
        self._group: asyncio.TaskGroup | None = None
        self._workers: dict[PortalId, list[asyncio.Task[None]]] = {}
        self.started = asyncio.Event()

    def use_provider(self, rooms: ProviderRoomPort) -> None:
        """Reach rooms that are not our own through a provider; before `run`."""
        rooms.use_spool(self._spool)
        self._rooms.use_provider(rooms)

    def ring_room(self, room: RoomId) -> None:
        """Say that the timeline of a room has grown."""
        self._portals.ring_room(room)

    def account(self, name: str) -> AccountRuntime | None:
        """Return a running account."""
        return self._accounts.get(name)

    # ---- running

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            StorageFailed: the spool's folder or the database cannot be used.
        """
        self._spool.open()
        for record in await self._storage.portals():
            self._portals.add(Portal(record))
            if record.account not in self._accounts:
                await self._storage.set_portal_state(
                    record.id,
                    PortalState.STOPPED,
                    f"there is no account {record.account} any more: add it again,"
                    f" or `sabir unlink {record.id}`",
                )
        async with asyncio.TaskGroup() as group:
            self._group = group
            for portal in self._portals:
                self._start_portal(portal)
            for account in self._accounts.values():
                self._start_account(account)
            self._tasks = [
                self._supervise("signals", self._signals.run),
                self._supervise("housekeeping", self._keep_house),
            ]
            self.started.set()

    def _supervise(
        self, name: str, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None]:
        assert self._group is not None
        return self._group.create_task(
            keep_running(name, work, clock=self._clock, rng=self._rng), name=name
        )

    def _start_account(self, account: AccountRuntime) -> None:
        assert self._group is not None
        host = AccountHost(
            account,
            storage=self._storage,
            portals=self._portals,
            on_signal=self._signals.offer,
            on_state=self._on_state,
            clock=self._clock,
            rng=self._rng,
        )
        self._group.create_task(
            keep_connected(account, host, clock=self._clock, rng=self._rng),
            name=f"account {account.id}",
        )

    def _on_state(self, account: AccountRuntime) -> None:
        if account.status.state is ConnectionState.CONNECTED:
            assert self._group is not None
            self._group.create_task(
                attempt(
                    f"open chats of {account.id}", lambda: self._open_chats(account)
                )
            )

    async def _open_chats(self, account: AccountRuntime) -> None:
        for portal in self._portals.of_account(account.id):
            await self._open_chat(account, portal)

    async def _open_chat(self, account: AccountRuntime, portal: Portal) -> None:
        """Enter a chat again; a refusal stops its portal and says what to do."""
        try:
            await account.connector.open_chat(ChatId(portal.chat))
        except (PolicyRefused, CredentialsRefused) as error:
            _log.warning("portal_stopped", portal=portal.id, detail=str(error))
            portal.is_open.clear()
            await self._storage.set_portal_state(
                portal.id, PortalState.STOPPED, str(error)
            )
        except Error as error:
            # Not its network's last word: the next connection asks again.
            _log.info("chat_not_open", portal=portal.id, detail=str(error))
        else:
            if self._portals.by_id(portal.id) is not portal:  # unlinked meanwhile
                await account.connector.close_chat(ChatId(portal.chat))
                return
            await self._storage.set_portal_state(portal.id, PortalState.ACTIVE)
            portal.is_open.set()

    def _start_portal(self, portal: Portal) -> None:
        account = self._accounts.get(portal.account)
        if account is None:
            _log.warning("portal_without_account", portal=portal.id)
            return
        ingest = Ingest(
            portal,
            account.network,
            account.connector,
            storage=self._storage,
            rooms=self._rooms,
            attachments=Attachments(self._spool, self._clock, self._rng),
            owner_uri=self._rooms.sender_in(portal.room, self._owner_uri),
            clock=self._clock,
            rng=self._rng,
        )
        preparer = Preparer(
            portal,
            account.network,
            storage=self._storage,
            spool=self._spool,
            rooms=self._rooms,
            clock=self._clock,
        )
        delivery = Delivery(
            portal,
            account,
            preparer,
            storage=self._storage,
            clock=self._clock,
            rng=self._rng,
        )
        self._workers[portal.id] = [
            self._supervise(f"ingest {portal.id}", ingest.run),
            self._supervise(f"delivery {portal.id}", delivery.run),
        ]

    async def _keep_house(self) -> None:
        while True:
            before = Instant(self._clock.now() - self._keep_ms)
            pruned = await self._storage.prune(before=before)
            deleted = await self._spool.forget(older_than_ms=self._keep_ms)
            if pruned or deleted:
                _log.info("housekeeping", payloads=pruned, files=deleted)
            await self._clock.sleep(HOUSEKEEPING_INTERVAL_MS)

    # ---- what people ask for

    async def link(
        self, chats: Sequence[ChatAddress], *, room: RoomId | None = None
    ) -> tuple[RoomId, Sequence[PortalRecord]]:
        """Bind chats to one room (a new one unless named) and start passing messages.

        Raises:
            PolicyRefused: a chat is linked already or we may not enter it; we are not
                in the room, or may not tell its people.
            Unavailable: a network, or the room's hub, does not answer; nothing was
                linked.
        """
        if room is not None:
            await self._rooms.check(room)
        infos = [await self._enter(chat) for chat in chats]
        new = [
            # A network may know the chat by another name than the person gave.
            NewPortal(account=chat.account, chat=info.chat, name=info.name)
            for chat, info in zip(chats, infos, strict=True)
        ]
        self._refuse_doubles(new, room)
        if room is not None:
            for each in new:
                await self._rooms.tell(room, self._readers(each))
        if room is None:
            room = new_room_id(LOCAL_DOMAIN, self._rng)
        name = next((info.name for info in infos if info.name), "")
        records = await self._storage.link(room, name, new, now=self._clock.now())
        portals = [Portal(record) for record in records]
        for portal in portals:
            self._portals.add(portal)
            self._start_portal(portal)
        for portal in portals:
            # Once more, now that the host lists the chat: events flow from here.
            await self._open_chat(self._runtime(portal.account), portal)
        return room, records

    def _readers(self, portal: NewPortal) -> str:
        """Say who can read a room when a chat is in it (I6): before it is."""
        network = self._network(portal.account)
        called = f'"{portal.name}"' if portal.name else portal.chat
        return (
            f"From now on this room is linked with the {network} chat {called}. What is"
            " said here can be read there: by that chat's members and servers, and by"
            " the Sabir that links it."
        )

    def _refuse_doubles(self, new: Sequence[NewPortal], room: RoomId | None) -> None:
        """Refuse one chat twice in a room: it would answer itself for ever.

        Raises:
            PolicyRefused: two accounts, or one twice, would bring in the same chat.
        """
        there = self._portals.of_room(room) if room is not None else []
        seen = {(self._network(p.account), p.chat) for p in there}
        for each in new:
            place = (self._network(each.account), each.chat)
            if place in seen:
                raise PolicyRefused(
                    f"the chat {each.chat} would be in the room twice, and every"
                    " message would come back for ever; link it by one account only"
                )
            seen.add(place)

    def _network(self, account: str) -> str:
        runtime = self._accounts.get(account)
        return account if runtime is None else runtime.network

    async def _enter(self, chat: ChatAddress) -> ChatInfo:
        runtime = self._runtime(chat.account)
        if self._portals.of_chat(chat.account, chat.chat) is not None:
            raise PolicyRefused(
                f"{chat.chat} of account {chat.account} is linked already;"
                " `sabir status` shows where, `sabir unlink` frees it"
            )
        try:
            async with asyncio.timeout(OPEN_CHAT_TIMEOUT_S):
                await runtime.connected.wait()
                return await runtime.connector.open_chat(ChatId(chat.chat))
        except TimeoutError:
            raise Unavailable(
                f"account {chat.account} is {runtime.status.state}:"
                f" {runtime.status.detail or 'no answer in 60 s'}; see `sabir status`"
            ) from None

    def _runtime(self, account: str) -> AccountRuntime:
        runtime = self._accounts.get(account)
        if runtime is None:
            names = ", ".join(sorted(self._accounts)) or "none"
            raise PolicyRefused(f"there is no account {account}; there are: {names}")
        return runtime

    async def unlink(self, portal_id: PortalId) -> PortalRecord:
        """Close a portal: nothing passes it any more; its history stays.

        Raises:
            PolicyRefused: no open portal has this number.
        """
        portal = self._portals.by_id(portal_id)
        if portal is None:
            raise PolicyRefused(f"there is no open portal {portal_id}")
        await self._storage.set_portal_state(portal_id, PortalState.CLOSED)
        self._portals.remove(portal)
        for task in self._workers.pop(portal_id, ()):
            task.cancel()
        runtime = self._accounts.get(portal.account)
        if runtime is not None and runtime.connected.is_set():
            await runtime.connector.close_chat(ChatId(portal.chat))
        await self._unlist(portal)
        return portal.record

    async def _unlist(self, portal: Portal) -> None:
        """Take a chat's people out of the room's list, if no other chat has them.

        The hub may take its time; the portal is closed all the same.
        """
        network = self._network(portal.account)
        there = self._portals.of_room(portal.room)
        if any(self._network(each.account) == network for each in there):
            return
        assert self._group is not None
        self._group.create_task(
            attempt(
                f"unlist the people of portal {portal.id}",
                lambda: self._rooms.unlist(portal.room, network),
            )
        )

    async def chats(self, account: str) -> Sequence[ChatInfo]:
        """Return the chats an account is in.

        Raises:
            PolicyRefused: no such account, or its network cannot list chats.
            Unavailable: the network does not answer.
        """
        connector = self._runtime(account).connector
        if not isinstance(connector, ListsChats):
            raise PolicyRefused(f"the network of {account} cannot list chats")
        return await connector.list_chats()

    async def view(self) -> AgentView:
        """Return everything at a glance."""
        counts = await self._storage.counts()
        return AgentView(
            accounts=[
                AccountView(
                    id=each.id,
                    network=each.network,
                    status=each.status,
                    last_in=each.last_in,
                )
                for each in self._accounts.values()
            ],
            rooms=await self._storage.rooms(),
            portals=await self._storage.portals(),
            counts={count.portal: count for count in counts},
        )
