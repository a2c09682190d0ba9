"""The doors of the agent API: token, rate, body and idempotency key of each request."""

from collections.abc import Iterable, Sequence

from aiohttp import web

from sabir.mimi.agent_api.paths import IDEMPOTENCY_FIELD, IDEMPOTENCY_KEY
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.agent_api.once import Once, request_digest
from sabir.provider.agent_api.operations import Ask, Key, Operation, RawOperation
from sabir.provider.agent_api.rates import AgentRates
from sabir.provider.agent_api.tokens import Caller, Tokens
from sabir.provider.core import Core
from sabir.provider.http import Answer, Exchange, Handler, Route, Streamed


class Doors:
    """Lets our own devices in."""

    def __init__(self, core: Core, tokens: Tokens, rates: AgentRates) -> None:
        """Guard operations.

        Args:
            core: of the provider.
            tokens: say who asks.
            rates: say how often.
        """
        self._core = core
        self._tokens = tokens
        self._rates = rates
        self._once = Once(core.store, core.clock)

    def routes(self, operations: Iterable[Operation | RawOperation]) -> Sequence[Route]:
        """Return a route for each operation."""
        return [
            Route(method=each.method, template=each.template, handler=self._door(each))
            for each in operations
        ]

    def _door(self, operation: Operation | RawOperation) -> Handler:
        async def handle(exchange: Exchange) -> Answer | Streamed | web.StreamResponse:
            caller = await self._tokens.caller(exchange)
            self._rates.requests.spend(
                caller.device, now_ms=self._core.clock.monotonic_ms()
            )
            if isinstance(operation, RawOperation):
                return await operation.handler(caller, exchange)
            return await self._answer(operation, caller, exchange)

        return handle

    async def _answer(
        self, operation: Operation, caller: Caller, exchange: Exchange
    ) -> Answer:
        key = None
        if operation.key is not Key.IGNORED:
            key = _key(exchange, required=operation.key is Key.REQUIRED)
        body = await exchange.body(operation.octets_max)
        ask = Ask(
            caller=caller,
            variables=exchange.variables,
            query=exchange.query,
            body=body,
        )
        if key is None:
            return await operation.answer(ask)
        digest = request_digest(exchange.method, exchange.path, body)
        return await self._once.answer(
            caller.device, key, digest, lambda: operation.answer(ask)
        )


def _key(exchange: Exchange, *, required: bool) -> str | None:
    """Return the idempotency key of a request.

    Raises:
        Problem: MALFORMED_BODY, it is missing or of another form.
    """
    fields = exchange.request.headers.getall(IDEMPOTENCY_FIELD, [])
    if not fields and not required:
        return None
    if len(fields) != 1 or IDEMPOTENCY_KEY.fullmatch(fields[0]) is None:
        raise Problem(
            ProblemCode.MALFORMED_BODY,
            f"one {IDEMPOTENCY_FIELD} of 1 to 64 visible ASCII characters is due",
        )
    return fields[0]
