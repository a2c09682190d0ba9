"""The provider, as the agent sees it: a port.

Octets are MIMI structs, the same as between providers; JSON is that of
`sabir.mimi.agent_api`. Every call may raise `Unavailable` (ask again, with the same
octets and key), `CredentialsRefused` (our token is not good any more) and
`ApiRefused` (asking again changes nothing).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Protocol

from sabir.errors import PolicyRefused
from sabir.mimi.agent_api.assets import AssetStored
from sabir.mimi.agent_api.events import Event
from sabir.mimi.agent_api.key_packages import Stock, StockAnswer
from sabir.mimi.agent_api.overview import PeerAnswer
from sabir.mimi.agent_api.people import Consents
from sabir.mimi.agent_api.registration import DeviceEntry
from sabir.mimi.agent_api.rooms import JoinCode, JoinCodeRequest, RoomEntry
from sabir.mimi.genesis import Reservation
from sabir.mimi.template_names import TemplateName


class ApiRefused(PolicyRefused):
    """The provider refuses a request.

    Args:
        problem: code of the problem document.
        detail: for people.
        status: of the HTTP answer.
    """

    def __init__(self, problem: str, detail: str, status: int) -> None:
        super().__init__(f"the provider refuses it: {problem} ({detail or status})")
        self.problem = problem
        self.detail = detail
        self.status = status


class EventStream(Protocol):
    """An open stream of events."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Return the events, in their order; ends by `Unavailable`."""
        ...

    async def ack(self, cursor: int) -> None:
        """Say that everything until there is stored here."""
        ...


class AgentApi(Protocol):
    """What a provider does for one device."""

    # ---- our device

    async def put_key_packages(self, octets: bytes, key: str) -> StockAnswer:
        """Upload `KeyPackage keypackages<V>`."""
        ...

    async def stock(self) -> Stock:
        """Return how many are there."""
        ...

    async def devices(self) -> Sequence[DeviceEntry]:
        """Return our user's devices."""
        ...

    async def remove_device(self, device: str) -> None:
        """Remove one of them."""
        ...

    async def tell_device(self, device: str, message: bytes, key: str) -> None:
        """Put a message into the stream of another device of ours."""
        ...

    def events(self, after: int) -> AbstractAsyncContextManager[EventStream]:
        """Open our stream behind a cursor."""
        ...

    # ---- people

    async def key_material(self, target: str, request: bytes) -> bytes:
        """Ask for KeyPackages of a user."""
        ...

    async def tell_consent(self, entry: bytes, key: str) -> None:
        """Ask for consent, or decide."""
        ...

    async def consents(self) -> Consents:
        """Return what we decided, and who waits."""
        ...

    async def query(self, domain: str, request: bytes) -> bytes:
        """Look for a user of a provider."""
        ...

    async def peer(self, domain: str) -> PeerAnswer:
        """Return what our provider knows of another."""
        ...

    # ---- rooms

    async def reserve(
        self, template: TemplateName, providers: Sequence[str], key: str
    ) -> Reservation:
        """Reserve a room."""
        ...

    async def genesis(self, room: str, octets: bytes, key: str) -> int:
        """Make a room; return when it was accepted, in ms."""
        ...

    async def rooms(self) -> Sequence[RoomEntry]:
        """Return the rooms that our user's devices are in."""
        ...

    async def update(self, room: str, octets: bytes, key: str) -> bytes:
        """Submit a handshake."""
        ...

    async def submit(self, room: str, octets: bytes, key: str) -> bytes:
        """Submit a message."""
        ...

    async def group_info(self, room: str, octets: bytes) -> bytes:
        """Ask to see a group."""
        ...

    async def attach(self, room: str) -> None:
        """Ask for a room's stream."""
        ...

    async def detach(self, room: str) -> None:
        """Ask for a room's stream no more."""
        ...

    async def close_room(self, room: str, key: str) -> None:
        """Close a room of our provider."""
        ...

    async def make_join_code(
        self, room: str, request: JoinCodeRequest, key: str
    ) -> JoinCode:
        """Make a join code."""
        ...

    async def report(self, room: str, octets: bytes, key: str) -> None:
        """Send an AbuseReport."""
        ...

    # ---- files

    async def upload(self, sealed: BinaryIO, size: int, key: str) -> AssetStored:
        """Upload a ciphertext; goes on where a broken attempt ended."""
        ...

    async def download(
        self,
        url: str,
        ways: Sequence[str],
        hub: str,
        sealed: BinaryIO,
        *,
        octets_max: int,
    ) -> None:
        """Download a ciphertext; goes on where a broken attempt ended."""
        ...
