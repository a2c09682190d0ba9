"""keyMaterial: as the hub of a room, which passes on, and as the target's provider.

A KeyPackage is handed out once, whoever asks at the same time (7.1).
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Final

from sabir.clock import Instant
from sabir.crypto.suites import find_suite
from sabir.mimi.consent import Consent
from sabir.mimi.directory import Endpoint
from sabir.mimi.key_stock import (
    LOW_WATER,
    Offer,
    StockItem,
    answer_of,
    choose,
    no_consent,
    refusal_at_target,
)
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    KeyMaterialResponse,
    OtherKeyMaterialRequest,
    decode_key_material_request,
    decode_key_material_response,
)
from sabir.mimi.uris import domain_of
from sabir.mls.key_packages import read_key_package
from sabir.provider.core import Core
from sabir.provider.federation import Call
from sabir.storage.provider.records import EventKind, StockedKeyPackage
from sabir.wire.errors import Malformed
from sabir.wire.tls import read_whole

DEVICE_REFS: Final = "device"
"""KeyPackageRefs of our own devices."""
DOMAIN_REFS: Final = "domain"
"""KeyPackageRefs that a hub passed on, by the provider of their client."""
FIRST_LOOK: Final = 8
"""KeyPackages of a client that are looked at first: they are mostly alike."""

Gate = Callable[[KeyMaterialRequest, str], Awaitable[bool]]
"""Tells, as the hub, whether a member of a room may ask (D-16): request, source."""


class KeyMaterial:
    """Serves key material, and passes requests on."""

    def __init__(self, core: Core, gate: Gate) -> None:
        """Serve.

        Args:
            core: of the provider.
            gate: of the rooms hosted here.
        """
        self._core = core
        self._gate = gate

    async def serve(self, call: Call) -> bytes:
        """Answer another provider.

        Raises:
            Malformed: it does not decode.
            Problem: PATH_MISMATCH; RATE_LIMITED; as `Peers.call`, when the target's
                provider does not answer.
        """
        request = decode_key_material_request(call.body)
        if request.target_user != call.about:
            raise Problem(ProblemCode.PATH_MISMATCH, "another user than in the body")
        self._limit(request)
        ours = self._core.config.domain
        hosted = bool(request.room) and domain_of(request.room) == ours
        if not hosted or isinstance(request, OtherKeyMaterialRequest):
            return (await self.claim(request, source=call.source)).encode()
        return await self.as_hub(request, call.body, source=call.source)

    async def as_hub(
        self, request: KeyMaterialRequest, body: bytes, *, source: str
    ) -> bytes:
        """Answer a member of a room hosted here, or pass the request on unchanged.

        Args:
            request: decoded.
            body: as it came.
            source: domain of the requester's provider, or ours.

        Raises:
            Problem: as `Peers.call`; UPSTREAM_FAILED.
        """
        if not await self._gate(request, source):
            return no_consent(request.target_user).encode()
        return await self.at_target(request, body)

    async def at_target(self, request: KeyMaterialRequest, body: bytes) -> bytes:
        """Ask the target's provider, which may be us.

        Args:
            request: decoded; of a member of a room hosted here, or of one of our own
                users for no room yet.
            body: as it came.

        Raises:
            Problem: as `Peers.call`; UPSTREAM_FAILED.
        """
        target = domain_of(request.target_user)
        if target == self._core.config.domain:
            return (await self.claim(request, source=target)).encode()
        return await self._pass_on(target, request.target_user, body)

    async def _pass_on(self, target: str, user: str, body: bytes) -> bytes:
        answer = await self._core.peers.call(
            target,
            Endpoint.KEY_MATERIAL,
            {"targetUser": user},
            body,
            octets_max=MIMI06_A.answer_octets_max[Endpoint.KEY_MATERIAL],
        )
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise Problem(
                ProblemCode.UPSTREAM_FAILED, f"{target} answers {answer.status}"
            )
        try:
            response = decode_key_material_response(answer.body)
        except Malformed as wrong:
            await self._core.peers.deviates(target, f"keyMaterial {wrong.rule}")
            raise Problem(
                ProblemCode.UPSTREAM_FAILED, f"{target} breaks rule {wrong.rule}"
            ) from None
        await self._remember(target, response)
        return answer.body

    async def _remember(self, target: str, response: KeyMaterialResponse) -> None:
        """Keep whose Welcomes are whose (MC-026)."""
        routes = {}
        for client in response.clients:
            package = client.key_package
            if package is None or package.leaf_node.lifetime is None:
                continue
            suite = find_suite(package.cipher_suite)
            if suite is not None:
                until = Instant(package.leaf_node.lifetime.not_after * 1_000)
                routes[package.reference(suite)] = (target, until)
        if routes:
            await self._core.store.route_refs(DOMAIN_REFS, routes)

    # ---- as the target's provider

    async def claim(
        self,
        request: KeyMaterialRequest | OtherKeyMaterialRequest,
        *,
        source: str,
    ) -> KeyMaterialResponse:
        """Hand out KeyPackages of one of our users, if consent and checks allow.

        Args:
            request: decoded.
            source: domain of who sent it.
        """
        core, target = self._core, request.target_user
        verdicts = await core.store.verdicts(request.requesting_user, target)
        refusal = refusal_at_target(
            request,
            source=source,
            ours=core.config.domain,
            user_exists=await core.store.user_exists(target),
            consent=Consent({each.room: each.granted for each in verdicts}),
        )
        if refusal is not None:
            return refusal
        assert isinstance(request, KeyMaterialRequest), "others are refused"
        devices = await core.store.devices_of(target)
        offers = await self._claimed(request, [each.device for each in devices])
        await self._tell_low(offers)
        return answer_of(target, offers)

    async def _claimed(
        self, request: KeyMaterialRequest, clients: Sequence[str]
    ) -> Sequence[Offer]:
        """Choose and claim; those whose choice went to somebody else choose again."""
        core = self._core
        settled: dict[str, Offer] = {}
        while missing := [each for each in clients if each not in settled]:
            now = core.clock.now()
            stock = await core.store.stock(request.target_user, now=now)
            offers = _choose(request, missing, stock, now)
            wanted = {each.item.ref for each in offers if each.item is not None}
            won = await core.store.take_key_packages(wanted, now=now)
            settled.update(
                {
                    each.client: each
                    for each in offers
                    if each.item is None or each.item.ref in won
                }
            )
        return [settled[client] for client in clients]

    async def _tell_low(self, offers: Sequence[Offer]) -> None:
        core = self._core
        for offer in offers:
            if offer.item is None:
                continue
            now = core.clock.now()
            left, _ = await core.store.stock_count(offer.client, now=now)
            if left in (LOW_WATER - 1, 0):
                data = json.dumps({"stock": left}).encode()
                core.spread(
                    await core.store.tell(
                        [offer.client], EventKind.KEY_PACKAGES_LOW, data, now=now
                    )
                )

    def _limit(self, request: KeyMaterialRequest | OtherKeyMaterialRequest) -> None:
        rates, now_ms = self._core.rates, self._core.clock.monotonic_ms()
        requester, target = request.requesting_user, request.target_user
        rates.key_material_per_requester.spend(requester, now_ms=now_ms)
        rates.key_material_per_pair.spend((requester, target), now_ms=now_ms)


def _choose(
    request: KeyMaterialRequest,
    clients: Sequence[str],
    stock: Iterable[StockedKeyPackage],
    now: Instant,
) -> Sequence[Offer]:
    """Choose among few of each client; among all where none of those fits."""
    by_client = {
        client: list(items)
        for client, items in groupby(stock, lambda each: each.device)
    }
    now_s = now // 1_000
    offers = []
    for client in clients:
        items = by_client.get(client, [])
        first = map(_item, items[:FIRST_LOOK])
        (offer,) = choose(request, [client], first, now_s=now_s)
        if offer.item is None and len(items) > FIRST_LOOK:
            (offer,) = choose(request, [client], map(_item, items), now_s=now_s)
        offers.append(offer)
    return offers


def _item(stored: StockedKeyPackage) -> StockItem:
    return StockItem(
        ref=stored.ref,
        client=stored.device,
        package=read_whole(stored.octets, read_key_package),
        last_resort=stored.last_resort,
    )
