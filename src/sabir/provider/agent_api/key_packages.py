"""KeyPackages: what a device brings, and what it wants of others (7.1)."""

from typing import Final

from sabir.clock import Instant
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.key_packages import (
    Rejected,
    Stock,
    StockAnswer,
    decode_key_packages,
)
from sabir.mimi.directory import Endpoint
from sabir.mimi.key_stock import LOW_WATER, StockItem, take_in
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIB, MIMI06_A
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    decode_key_material_request,
)
from sabir.mimi.uris import domain_of
from sabir.provider.agent_api.forwarding import forward
from sabir.provider.agent_api.operations import Ask, Key, Operation, json_answer
from sabir.provider.http import Answer
from sabir.provider.services import Services
from sabir.storage.provider.records import StockedKeyPackage
from sabir.wire.errors import Malformed

STOCK_MAX: Final = 1_000
"""KeyPackages of one device in stock."""
UPLOAD_OCTETS_MAX: Final = 1 * MIB
LIMIT_EXCEEDED: Final = "limit.exceeded"


class OwnKeyPackages:
    """Takes KeyPackages of our devices, and gets those of others for them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._core = services.core

    def operations(self) -> tuple[Operation, ...]:
        """Return what devices ask about KeyPackages."""
        return (
            Operation(
                method="PUT",
                template=paths.KEY_PACKAGES,
                answer=self.upload,
                key=Key.OPTIONAL,
                octets_max=UPLOAD_OCTETS_MAX,
            ),
            Operation(method="GET", template=paths.KEY_PACKAGES, answer=self.stock),
            Operation(
                method="POST",
                template=paths.KEY_MATERIAL,
                answer=self.key_material,
                key=Key.OPTIONAL,
                octets_max=MIMI06_A.request_octets_max[Endpoint.KEY_MATERIAL],
            ),
        )

    async def stock(self, ask: Ask) -> Answer:
        """`GET /keypackages`."""
        count, last_resort = await self._count(ask.caller.device)
        return json_answer(
            Stock(stock=count, last_resort=last_resort, low_water=LOW_WATER)
        )

    async def upload(self, ask: Ask) -> Answer:
        """`PUT /keypackages`: what is good is taken in, and the rest is named.

        Raises:
            Malformed: it does not decode; nothing was taken in.
        """
        core, caller = self._core, ask.caller
        now = core.clock.now()
        room, _ = await self._count(caller.device)
        good: list[StockItem] = []
        rejected: list[Rejected] = []
        for index, package in enumerate(decode_key_packages(ask.body)):
            try:
                item = take_in(
                    package,
                    user=caller.user,
                    client=caller.device,
                    now_s=now // 1_000,
                )
            except Malformed as wrong:
                rejected.append(Rejected(index=index, code=wrong.rule))
                continue
            if room >= STOCK_MAX and not item.last_resort:
                rejected.append(Rejected(index=index, code=LIMIT_EXCEEDED))
                continue
            room += not item.last_resort
            good.append(item)
        accepted = await core.store.stock_key_packages(map(_stocked, good), now=now)
        count, last_resort = await self._count(caller.device)
        return json_answer(
            StockAnswer(
                accepted=accepted,
                rejected=tuple(rejected),
                stock=count,
                last_resort=last_resort,
                low_water=LOW_WATER,
            )
        )

    async def key_material(self, ask: Ask) -> Answer:
        """`POST /keymaterial/{targetUser}`: by the room's hub, or directly.

        Raises:
            Malformed: it does not decode.
            Problem: PATH_MISMATCH; DOMAIN_NOT_AUTHORIZED, another user's request;
                RATE_LIMITED; as `forward`.
        """
        request = decode_key_material_request(ask.body)
        if request.target_user != ask.target_user():
            raise Problem(ProblemCode.PATH_MISMATCH, "another user than in the body")
        if request.requesting_user != ask.caller.user:
            raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "another user's request")
        if not isinstance(request, KeyMaterialRequest):
            raise Problem(ProblemCode.MALFORMED_BODY, f"protocol {request.protocol}")
        self._limit(request)
        core, ours = self._core, self._core.config.domain
        desk = self._services.key_material
        hub = domain_of(request.room) if request.room else ours
        if hub != ours:
            answer = await forward(
                core,
                hub,
                Endpoint.KEY_MATERIAL,
                {"targetUser": request.target_user},
                ask.body,
            )
        elif request.room:
            answer = await desk.as_hub(request, ask.body, source=ours)
        else:
            answer = await desk.at_target(request, ask.body)
        return Answer(body=answer)

    async def _count(self, device: str) -> tuple[int, bool]:
        stock, last_resort = await self._core.store.stock_count(
            device, now=self._core.clock.now()
        )
        return stock, last_resort > 0

    def _limit(self, request: KeyMaterialRequest) -> None:
        rates, now_ms = self._core.rates, self._core.clock.monotonic_ms()
        requester, target = request.requesting_user, request.target_user
        rates.key_material_per_requester.spend(requester, now_ms=now_ms)
        rates.key_material_per_pair.spend((requester, target), now_ms=now_ms)


def _stocked(item: StockItem) -> StockedKeyPackage:
    return StockedKeyPackage(
        ref=item.ref,
        device=item.client,
        suite=item.package.cipher_suite,
        octets=item.package.raw,
        not_before=Instant(item.lifetime.not_before * 1_000),
        not_after=Instant(item.lifetime.not_after * 1_000),
        last_resort=item.last_resort,
    )
