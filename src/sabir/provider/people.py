"""Consent and identifier queries: what other providers ask about our users."""

from typing import Final

from sabir.clock import Instant
from sabir.mimi.codepoints import ConsentOperation
from sabir.mimi.consent import (
    REQUESTS_PER_DAY_MAX,
    check_entry,
    may_use_granted,
)
from sabir.mimi.directory import Endpoint
from sabir.mimi.key_stock import take_in
from sabir.mimi.query import answer_of, is_findable, refusal_of
from sabir.mimi.structs.consent import ConsentEntry, decode_consent_entry
from sabir.mimi.structs.query import QueryElement, decode_identifier_request
from sabir.provider.core import Core
from sabir.provider.federation import Call
from sabir.provider.key_material import DOMAIN_REFS
from sabir.storage.provider.records import EventKind, OpenRequest

CANDIDATES_MAX: Final = 1_000
"""Users looked at for one condition of a query."""


class People:
    """Answers about our users."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # ---- consent

    async def request_consent(self, call: Call) -> bytes:
        """Take a request for consent, or its withdrawal; nothing shows who exists.

        Raises:
            Malformed: it does not decode.
            Problem: as `check_entry`.
        """
        entry = self._entry(call, Endpoint.REQUEST_CONSENT)
        store = self._core.store
        if entry.operation == ConsentOperation.CANCEL:
            changed = await store.cancel_request(
                entry.requester, entry.target, entry.room
            )
        else:
            changed = await store.user_exists(entry.target) and (
                await store.open_request(
                    OpenRequest(
                        requester=entry.requester,
                        target=entry.target,
                        room=entry.room,
                        asked_at=self._core.clock.now(),
                    ),
                    per_day_max=REQUESTS_PER_DAY_MAX,
                )
            )
        if changed:
            await self._tell(entry.target, call.body)
        return b""

    async def update_consent(self, call: Call) -> bytes:
        """Take the decision of another provider's user about one of ours.

        KeyPackages of a grant reach the requester's devices with it; their Welcome
        will find the way, because we remember whose they are (D-30).

        Raises:
            Malformed: it does not decode, or a KeyPackage is not good.
            Problem: as `check_entry`.
        """
        entry = self._entry(call, Endpoint.UPDATE_CONSENT)
        now = self._core.clock.now()
        items = [
            take_in(package, user=entry.target, now_s=now // 1_000)
            for package in entry.key_packages
        ]
        if items and may_use_granted(entry, ours=self._core.config.domain):
            await self._core.store.route_refs(
                DOMAIN_REFS,
                {
                    item.ref: (
                        call.source,
                        Instant(item.lifetime.not_after * 1_000),
                    )
                    for item in items
                },
            )
        await self._tell(entry.requester, call.body)
        return b""

    def _entry(self, call: Call, endpoint: Endpoint) -> ConsentEntry:
        entry = decode_consent_entry(call.body)
        check_entry(entry, endpoint, source=call.source, ours=self._core.config.domain)
        return entry

    async def _tell(self, user: str, entry: bytes) -> None:
        core = self._core
        devices = [each.device for each in await core.store.devices_of(user)]
        spread = await core.store.tell(
            devices, EventKind.CONSENT, entry, now=core.clock.now()
        )
        core.spread(spread)

    # ---- queries

    async def identifier_query(self, call: Call) -> bytes:
        """Tell who is found by all conditions of a query (7.9).

        Raises:
            Malformed: it does not decode.
        """
        request = decode_identifier_request(call.body)
        answer = refusal_of(request)
        if answer is None:
            answer = answer_of(
                [await self._found(element) for element in request.elements]
            )
        return answer.encode()

    async def _found(self, element: QueryElement) -> frozenset[str]:
        candidates = await self._core.store.users_found(
            element.search_type, element.value, count_max=CANDIDATES_MAX
        )
        return frozenset(
            user
            for user, identifier in candidates
            if is_findable(
                identifier.search_type,
                searchable=identifier.searchable,
                verified=identifier.verified,
            )
        )
