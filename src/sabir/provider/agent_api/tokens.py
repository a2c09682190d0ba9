"""Tokens of devices: who asks. The store has their digests only (8.1)."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sabir.clock import Clock, Instant
from sabir.mimi.agent_api.forms import base64url
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.http import Exchange
from sabir.storage.provider.ports import Devices
from sabir.storage.provider.records import DeviceRecord, TokenPurpose

TOKEN_OCTETS: Final = 32
ACCESS_MS: Final = 3_600_000
"""How long a token is good for (8.1)."""
REFRESH_MS: Final = 180 * 24 * 3_600_000
"""How long a device may be away; each refresh begins it anew."""

_BEARER: Final = re.compile(r"[Bb]earer ([A-Za-z0-9_-]{1,128})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: one of our devices.

    Attributes:
        device: its client URI.
        user: URI of its user.
    """

    device: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """Fresh tokens.

    Attributes:
        access: for the field Authorization.
        expires_at: of `access`.
        refresh: for another one.
    """

    access: str
    expires_at: Instant
    refresh: str

    def __repr__(self) -> str:
        """Return nothing that is secret."""
        return "NewTokens(...)"


def digest_of(token: str) -> bytes:
    """Return by what the store knows a token."""
    return hashlib.sha256(token.encode("utf-8")).digest()


def new_token(rng: Callable[[int], bytes]) -> str:
    """Make a token."""
    return base64url(rng(TOKEN_OCTETS))


class Tokens:
    """Gives tokens, and knows whose they are."""

    def __init__(
        self, store: Devices, clock: Clock, rng: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng

    def fresh(
        self,
    ) -> tuple[NewTokens, Mapping[TokenPurpose, tuple[bytes, Instant]]]:
        """Make both tokens, for a device and for the store."""
        now = self._clock.now()
        made = NewTokens(
            access=new_token(self._rng),
            expires_at=Instant(now + ACCESS_MS),
            refresh=new_token(self._rng),
        )
        return made, {
            TokenPurpose.ACCESS: (digest_of(made.access), made.expires_at),
            TokenPurpose.REFRESH: (digest_of(made.refresh), Instant(now + REFRESH_MS)),
        }

    async def caller(self, exchange: Exchange) -> Caller:
        """Return who asks.

        Raises:
            Problem: UNAUTHORIZED.
        """
        fields = exchange.request.headers.getall("Authorization", [])
        found = _BEARER.fullmatch(fields[0]) if len(fields) == 1 else None
        if found is None:
            raise Problem(
                ProblemCode.UNAUTHORIZED, "the field Authorization has no Bearer token"
            )
        device = await self._store.device_of_token(
            digest_of(found[1]), TokenPurpose.ACCESS, now=self._clock.now()
        )
        if device is None:
            raise Problem(
                ProblemCode.UNAUTHORIZED, "the token is over: get one by POST /token"
            )
        return Caller(device=device.device, user=device.user)

    async def device_of_refresh(self, token: str) -> DeviceRecord:
        """Return whose refresh token this is.

        Raises:
            Problem: UNAUTHORIZED.
        """
        device = await self._store.device_of_token(
            digest_of(token), TokenPurpose.REFRESH, now=self._clock.now()
        )
        if device is None:
            raise Problem(
                ProblemCode.UNAUTHORIZED,
                "the refresh token is over: register the device again",
            )
        return device

    async def refreshed(self, device: str, refresh: str) -> NewTokens:
        """Replace a device's token; its refresh token lives longer."""
        now = self._clock.now()
        access, expires_at = new_token(self._rng), Instant(now + ACCESS_MS)
        await self._store.set_token(
            device, TokenPurpose.ACCESS, digest_of(access), expires_at
        )
        await self._store.set_token(
            device, TokenPurpose.REFRESH, digest_of(refresh), Instant(now + REFRESH_MS)
        )
        return NewTokens(access=access, expires_at=expires_at, refresh=refresh)
