"""The access token of our device, renewed before its end."""

import asyncio
from typing import Protocol

from sabir.agent.membership.device import DeviceKey, Tokens
from sabir.agent.membership.limits import REFUSED_FOR_MS, TOKEN_MARGIN_MS
from sabir.agent.membership.vault import Vault
from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.errors import CredentialsRefused
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.agent_api.registration import (
    Challenge,
    TokenAnswer,
    TokenRequest,
    sign_refresh,
)
from sabir.mimi.client_settings import SUITE
from sabir.storage.membership import Home, HomeRecord


class Renewal(Protocol):
    """Who gives tokens."""

    async def challenge(self, account_token: Secret | None = None) -> Challenge:
        """Get something to sign."""
        ...

    async def renew(self, request: TokenRequest) -> TokenAnswer:
        """Get a new token."""
        ...


class TokenKeeper:
    """Keeps a token that is good.

    Args:
        home: our device, registered.
        storage: where tokens are kept.
        vault: of the device.
        clock: time.
        renewal: who gives tokens.
    """

    def __init__(
        self,
        home: HomeRecord,
        storage: Home,
        vault: Vault,
        clock: Clock,
        renewal: Renewal,
    ) -> None:
        self._device = home.device
        self._key = DeviceKey.open(vault, home.signature)
        self._tokens = Tokens.open(vault, home.tokens)
        self._storage = storage
        self._vault = vault
        self._clock = clock
        self._renewal = renewal
        self._lock = asyncio.Lock()
        self._refused: CredentialsRefused | None = None
        self._refused_at_ms = 0.0

    async def token(self, refused: Secret | None = None) -> Secret:
        """Return a token.

        Args:
            refused: one that the provider did not take; another is got then.

        Raises:
            Unavailable: the provider does not answer.
            CredentialsRefused: it does not know our device any more; it is not asked
                again for an hour.
            StorageFailed: the new token could not be kept.
        """
        async with self._lock:
            held = self._tokens
            ends = self._clock.now() + TOKEN_MARGIN_MS >= held.expires_at
            if ends or (refused is not None and held.access.ct_equal(refused)):
                self._tokens = await self._renewed(held)
            return self._tokens.access

    async def _renewed(self, held: Tokens) -> Tokens:
        now_ms = self._clock.monotonic_ms()
        if self._refused is not None and now_ms < self._refused_at_ms + REFUSED_FOR_MS:
            raise self._refused
        try:
            return await self._asked(held)
        except CredentialsRefused as error:
            self._refused_at_ms = now_ms
            self._refused = CredentialsRefused(
                f"{self._device} has no place at its provider any more ({error}). If"
                " you removed it: what it has stays, nothing new comes; `sabir init`"
                " in another data directory makes another device. If not, ask the"
                " provider's operator"
            )
            raise self._refused from error

    async def _asked(self, held: Tokens) -> Tokens:
        found = await self._renewal.challenge()
        signature = sign_refresh(
            SUITES[SUITE], self._key.private.reveal(), found.challenge, self._device
        )
        answer = await self._renewal.renew(
            TokenRequest(
                refresh_token=held.refresh.reveal_text(),
                challenge=found.challenge,
                signature=Octets(signature),
            )
        )
        renewed = held.renewed(answer)
        await self._storage.set_tokens(renewed.sealed(self._vault))
        return renewed
