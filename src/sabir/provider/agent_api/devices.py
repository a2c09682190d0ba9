"""How devices get in and out: challenges, registration, tokens, the list of devices."""

from http import HTTPStatus
from typing import Final

from sabir.crypto.suites import SUITES
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.device_messages import MESSAGE_OCTETS_MAX
from sabir.mimi.agent_api.forms import JSON_OCTETS_MAX, Octets, decode_form
from sabir.mimi.agent_api.registration import (
    Challenge,
    ChallengeRequest,
    DeviceAnswer,
    DeviceEntry,
    DeviceList,
    DeviceRequest,
    TokenAnswer,
    TokenRequest,
    is_refresh,
    is_registration,
)
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.uris import Kind, device_uri, new_segment, parse_uri
from sabir.mls.credentials import BasicCredential
from sabir.provider.agent_api.challenges import Challenges
from sabir.provider.agent_api.operations import Ask, Key, Operation, json_answer
from sabir.provider.agent_api.rates import AgentRates
from sabir.provider.agent_api.tokens import NewTokens, Tokens, digest_of
from sabir.provider.core import Core
from sabir.provider.http import Answer, Exchange, Handler, Route
from sabir.storage.provider.records import DeviceRecord, EventKind

DEVICE_OCTETS: Final = 8
"""Random octets in the name of a device (D-10)."""
DEVICES_MAX: Final = 32
"""Devices of one user."""


class Registration:
    """Lets devices in that have no token yet."""

    def __init__(self, core: Core, tokens: Tokens, rates: AgentRates) -> None:
        """Register.

        Args:
            core: of the provider.
            tokens: to give.
            rates: on strangers.
        """
        self._core = core
        self._tokens = tokens
        self._rates = rates
        self._challenges = Challenges(core.clock, core.rng)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes that need no token."""
        return (
            self._route(paths.CHALLENGES, self.challenge),
            self._route(paths.DEVICES, self.register),
            self._route(paths.TOKEN, self.refresh),
        )

    def _route(self, template: str, handler: Handler) -> Route:
        async def handle(exchange: Exchange) -> Answer:
            self._rates.strangers.spend(
                exchange.client, now_ms=self._core.clock.monotonic_ms()
            )
            answer = await handler(exchange)
            assert isinstance(answer, Answer), "these are small"
            return answer

        return Route(method="POST", template=template, handler=handle)

    async def challenge(self, exchange: Exchange) -> Answer:
        """`POST /challenges`.

        Raises:
            Problem: UNAUTHORIZED, an account token that nobody has.
        """
        body = await exchange.body(JSON_OCTETS_MAX)
        wanted = decode_form(body, ChallengeRequest)
        user = await self._user(wanted.account_token) if wanted.account_token else ""
        challenge, expires_at = self._challenges.make()
        return json_answer(
            Challenge(challenge=Octets(challenge), expires_ms=expires_at, user=user)
        )

    async def register(self, exchange: Exchange) -> Answer:
        """`POST /devices`: a new device; the same key again is the same device.

        Raises:
            Problem: UNAUTHORIZED, token, challenge or signature; NOT_ALLOWED, a suite
                that rooms do not have, or too many devices.
        """
        wanted = decode_form(await exchange.body(JSON_OCTETS_MAX), DeviceRequest)
        user = await self._user(wanted.account_token)
        if wanted.suite not in MIMI06_A.suites:
            raise Problem(ProblemCode.NOT_ALLOWED, f"suite {wanted.suite} is not used")
        self._challenges.spend(wanted.challenge)
        if not is_registration(
            SUITES[wanted.suite],
            wanted.signature_key,
            wanted.challenge,
            user,
            wanted.signature,
        ):
            raise Problem(ProblemCode.UNAUTHORIZED, "the signature does not fit")
        known = await self._core.store.devices_of(user)
        for each in known:
            if each.signature_key == wanted.signature_key:
                return await self._again(each)
        if len(known) >= DEVICES_MAX:
            raise Problem(
                ProblemCode.NOT_ALLOWED, f"at most {DEVICES_MAX} devices: remove one"
            )
        return await self._new(user, wanted)

    async def refresh(self, exchange: Exchange) -> Answer:
        """`POST /token`.

        Raises:
            Problem: UNAUTHORIZED, token, challenge or signature.
        """
        wanted = decode_form(await exchange.body(JSON_OCTETS_MAX), TokenRequest)
        device = await self._tokens.device_of_refresh(wanted.refresh_token)
        self._challenges.spend(wanted.challenge)
        if not is_refresh(
            SUITES[device.suite],
            device.signature_key,
            wanted.challenge,
            device.device,
            wanted.signature,
        ):
            raise Problem(ProblemCode.UNAUTHORIZED, "the signature does not fit")
        made = await self._tokens.refreshed(device.device, wanted.refresh_token)
        return json_answer(
            TokenAnswer(token=made.access, token_expires_ms=made.expires_at)
        )

    async def _user(self, account_token: str) -> str:
        user = await self._core.store.user_of_token(digest_of(account_token))
        if user is None:
            raise Problem(ProblemCode.UNAUTHORIZED, "nobody has this account token")
        return user

    async def _new(self, user: str, wanted: DeviceRequest) -> Answer:
        core, name = self._core, parse_uri(user, Kind.USER).segments[0]
        made, stored = self._tokens.fresh()
        device = DeviceRecord(
            device=device_uri(
                core.config.domain, name, new_segment(core.rng, DEVICE_OCTETS)
            ),
            user=user,
            name=wanted.device_name,
            suite=wanted.suite,
            signature_key=bytes(wanted.signature_key),
            created_at=core.clock.now(),
        )
        core.spread(await core.store.add_device(device, stored))
        return _registered(device, made)

    async def _again(self, device: DeviceRecord) -> Answer:
        """Answer a device whose first answer was lost."""
        made, stored = self._tokens.fresh()
        for purpose, (digest, expires_at) in stored.items():
            await self._core.store.set_token(device.device, purpose, digest, expires_at)
        return _registered(device, made)


def _registered(device: DeviceRecord, made: NewTokens) -> Answer:
    credential = BasicCredential(device.device.encode("ascii"))
    return json_answer(
        DeviceAnswer(
            device_uri=device.device,
            user=device.user,
            credential=Octets(credential.raw),
            token=made.access,
            token_expires_ms=made.expires_at,
            refresh_token=made.refresh,
        ),
        HTTPStatus.CREATED,
    )


class OwnDevices:
    """A user's devices, for any of them."""

    def __init__(self, core: Core, rates: AgentRates) -> None:
        self._core = core
        self._rates = rates

    def operations(self) -> tuple[Operation, ...]:
        """Return what devices ask about devices."""
        return (
            Operation(method="GET", template=paths.DEVICES, answer=self.list_),
            Operation(method="DELETE", template=paths.DEVICE, answer=self.remove),
            Operation(
                method="POST",
                template=paths.DEVICE_MESSAGES,
                answer=self.tell,
                octets_max=MESSAGE_OCTETS_MAX,
                key=Key.REQUIRED,
            ),
        )

    async def list_(self, ask: Ask) -> Answer:
        """`GET /devices`."""
        return json_answer(
            DeviceList(
                devices=tuple(
                    DeviceEntry(
                        device_uri=each.device,
                        name=each.name,
                        created_ms=each.created_at,
                        current=each.device == ask.caller.device,
                    )
                    for each in await self._core.store.devices_of(ask.caller.user)
                )
            )
        )

    async def remove(self, ask: Ask) -> Answer:
        """`DELETE /devices/{device}`: of the caller's user; also the caller itself.

        Raises:
            Problem: NOT_FOUND.
        """
        core, device = self._core, await self._own(ask)
        core.spread(await core.store.remove_device(device, now=core.clock.now()))
        core.wakeups.wake([device])  # its connections end
        return Answer(status=HTTPStatus.NO_CONTENT)

    async def tell(self, ask: Ask) -> Answer:
        """`POST /devices/{device}/messages`: into the stream of another own device.

        Raises:
            Problem: NOT_FOUND; RATE_LIMITED, too many in an hour.
        """
        core, device = self._core, await self._own(ask)
        self._rates.device_messages.spend(
            ask.caller.user, now_ms=core.clock.monotonic_ms()
        )
        core.spread(
            await core.store.tell(
                [device], EventKind.DEVICE_MESSAGE, ask.body, now=core.clock.now()
            )
        )
        return Answer(status=HTTPStatus.NO_CONTENT)

    async def _own(self, ask: Ask) -> str:
        device = ask.variables["device"]
        found = await self._core.store.device(device)
        if found is None or found.user != ask.caller.user:
            raise Problem(ProblemCode.NOT_FOUND, "you have no such device")
        return device
