"""Consent, queries, and by what a user may be found (7.2, 7.9)."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from sabir.clock import Instant
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.forms import JSON_OCTETS_MAX, decode_form
from sabir.mimi.agent_api.people import (
    Consents,
    IdentifierType,
    OwnIdentifier,
    RequestEntry,
    Searchable,
    VerdictEntry,
)
from sabir.mimi.codepoints import ConsentOperation, SearchType
from sabir.mimi.consent import check_entry, may_use_granted
from sabir.mimi.directory import Endpoint
from sabir.mimi.key_stock import take_in
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.profile import MIMI06_A
from sabir.mimi.structs.consent import ConsentEntry, decode_consent_entry
from sabir.mimi.structs.query import decode_identifier_request
from sabir.mimi.uris import domain_of
from sabir.provider.agent_api.forwarding import forward
from sabir.provider.agent_api.operations import Ask, Key, Operation, json_answer
from sabir.provider.agent_api.rates import AgentRates
from sabir.provider.federation import Call
from sabir.provider.http import Answer
from sabir.provider.key_material import DEVICE_REFS
from sabir.provider.services import Services
from sabir.storage.provider.records import Identifier, Verdict

_REQUESTS: Final = frozenset({ConsentOperation.REQUEST, ConsentOperation.CANCEL})
_TYPES: Final = {each.search_type: each for each in IdentifierType}


class AgentPeople:
    """Serves our users in what concerns other people."""

    def __init__(self, services: Services, rates: AgentRates) -> None:
        """Serve.

        Args:
            services: of the provider.
            rates: on consent entries and queries.
        """
        self._people = services.people
        self._core = services.core
        self._ours = services.core.config.domain
        self._rates = rates

    def operations(self) -> tuple[Operation, ...]:
        """Return what devices ask about people."""
        octets = MIMI06_A.request_octets_max
        return (
            Operation(
                method="POST",
                template=paths.CONSENTS,
                answer=self.tell,
                octets_max=octets[Endpoint.UPDATE_CONSENT],
                key=Key.REQUIRED,
            ),
            Operation(method="GET", template=paths.CONSENTS, answer=self.consents),
            Operation(
                method="POST",
                template=paths.QUERY,
                answer=self.query,
                octets_max=octets[Endpoint.IDENTIFIER_QUERY],
            ),
            Operation(method="GET", template=paths.SEARCHABLE, answer=self.searchable),
            Operation(
                method="PUT",
                template=paths.SEARCHABLE,
                answer=self.set_searchable,
                octets_max=JSON_OCTETS_MAX,
            ),
        )

    # ---- consent

    async def tell(self, ask: Ask) -> Answer:
        """`POST /consents`: to the other user's provider, by the operation.

        Raises:
            Malformed: it does not decode, or a KeyPackage is not good.
            Problem: WRONG_OPERATION; DOMAIN_NOT_AUTHORIZED, it is another user's to
                say; NOT_ALLOWED, KeyPackages that the receiver could not use (D-30);
                RATE_LIMITED; as `forward`.
        """
        entry = decode_consent_entry(ask.body)
        asks = entry.operation in _REQUESTS
        speaker = entry.requester if asks else entry.target
        listener = entry.target if asks else entry.requester
        if speaker != ask.caller.user:
            raise Problem(ProblemCode.DOMAIN_NOT_AUTHORIZED, "another user's consent")
        endpoint = Endpoint.REQUEST_CONSENT if asks else Endpoint.UPDATE_CONSENT
        domain = domain_of(listener)
        check_entry(entry, endpoint, source=self._ours, ours=domain)
        now_ms = self._core.clock.monotonic_ms()
        self._rates.consents.spend(ask.caller.user, now_ms=now_ms)
        if not asks:
            await self._decide(entry)
        if entry.operation != ConsentOperation.REVOKE:  # nobody is told of those
            await self._pass_on(endpoint, domain, ask.body)
        return Answer(status=HTTPStatus.CREATED)

    async def _decide(self, entry: ConsentEntry) -> None:
        """Keep what one of our users decided."""
        if entry.key_packages:
            await self._remember(entry)
        verdict = Verdict(
            requester=entry.requester,
            target=entry.target,
            room=entry.room,
            granted=entry.operation == ConsentOperation.GRANT,
            decided_at=self._core.clock.now(),
        )
        await self._core.store.set_verdicts([verdict])

    async def _remember(self, entry: ConsentEntry) -> None:
        """Keep whose KeyPackages go out with a grant: a Welcome will name them."""
        if not may_use_granted(entry, ours=domain_of(entry.requester)):
            raise Problem(
                ProblemCode.NOT_ALLOWED, "KeyPackages for a room of another hub"
            )
        now_s = self._core.clock.now() // 1_000
        items = [
            take_in(package, user=entry.target, now_s=now_s)
            for package in entry.key_packages
        ]
        await self._core.store.route_refs(
            DEVICE_REFS,
            {
                item.ref: (item.client, Instant(item.lifetime.not_after * 1_000))
                for item in items
            },
        )

    async def _pass_on(self, endpoint: Endpoint, domain: str, body: bytes) -> None:
        if domain != self._ours:
            values = {endpoint.variable: domain}
            await forward(self._core, domain, endpoint, values, body)
            return
        call = Call(source=self._ours, about=self._ours, body=body)
        if endpoint is Endpoint.REQUEST_CONSENT:
            await self._people.request_consent(call)
        else:
            await self._people.update_consent(call)

    async def consents(self, ask: Ask) -> Answer:
        """`GET /consents`."""
        store, user = self._core.store, ask.caller.user
        return json_answer(
            Consents(
                verdicts=tuple(
                    VerdictEntry(
                        requester=each.requester,
                        room=each.room,
                        granted=each.granted,
                        decided_ms=each.decided_at,
                    )
                    for each in await store.verdicts_by(user)
                ),
                requests=tuple(
                    RequestEntry(
                        requester=each.requester,
                        room=each.room,
                        asked_ms=each.asked_at,
                    )
                    for each in await store.open_requests(user)
                ),
            )
        )

    # ---- queries

    async def query(self, ask: Ask) -> Answer:
        """`POST /query/{domain}`.

        Raises:
            Malformed: it does not decode.
            Problem: RATE_LIMITED; as `forward`.
        """
        domain = ask.domain()
        now_ms = self._core.clock.monotonic_ms()
        self._rates.queries.spend(ask.caller.user, now_ms=now_ms)
        if domain == self._ours:
            call = Call(source=self._ours, about=self._ours, body=ask.body)
            return Answer(body=await self._people.identifier_query(call))
        decode_identifier_request(ask.body)
        values = {Endpoint.IDENTIFIER_QUERY.variable: domain}
        return Answer(
            body=await forward(
                self._core, domain, Endpoint.IDENTIFIER_QUERY, values, ask.body
            )
        )

    # ---- by what one may be found

    async def searchable(self, ask: Ask) -> Answer:
        """`GET /me/searchable`."""
        known = await self._core.store.identifiers(ask.caller.user)
        return json_answer(Searchable(identifiers=tuple(_shown(known))))

    async def set_searchable(self, ask: Ask) -> Answer:
        """`PUT /me/searchable`: which of one's own others may search for.

        Raises:
            Problem: NOT_ALLOWED, a handle, address or number that is not the user's.
        """
        store, user = self._core.store, ask.caller.user
        wanted = {
            (each.type.search_type, each.value): each.searchable
            for each in decode_form(ask.body, Searchable).identifiers
        }
        kept: list[Identifier] = []
        for each in await store.identifiers(user):
            searchable = wanted.pop((SearchType(each.search_type), each.value), None)
            if searchable is None and each.search_type == SearchType.NICK:
                continue
            kept.append(
                Identifier(
                    search_type=each.search_type,
                    value=each.value,
                    searchable=bool(searchable),
                    verified=each.verified,
                )
            )
        for (search_type, value), searchable in wanted.items():
            if search_type is not SearchType.NICK:
                raise Problem(
                    ProblemCode.NOT_ALLOWED, "handles and addresses are the operator's"
                )
            kept.append(
                Identifier(
                    search_type=search_type,
                    value=value,
                    searchable=searchable,
                    verified=False,
                )
            )
        await store.set_identifiers(user, kept)
        return json_answer(Searchable(identifiers=tuple(_shown(kept))))


def _shown(identifiers: Iterable[Identifier]) -> Iterable[OwnIdentifier]:
    for each in identifiers:
        yield OwnIdentifier(
            type=_TYPES[SearchType(each.search_type)],
            value=each.value,
            searchable=each.searchable,
            verified=each.verified,
        )
