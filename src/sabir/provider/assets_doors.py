"""The doors of files: for anybody with the URL, for peers, and for our own devices."""

from collections.abc import Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

from sabir.mimi.agent_api.assets import UPLOAD, WAYS, AssetStored, UploadState
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.agent_api.paths import ASSETS, IDEMPOTENCY_FIELD, IDEMPOTENCY_KEY
from sabir.mimi.genesis import ASSET_OCTETS_MAX
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.uris import SCHEME, domain_of
from sabir.provider.agent_api.operations import (
    RawOperation,
    json_answer,
    query_value,
)
from sabir.provider.agent_api.tokens import Caller
from sabir.provider.assets import ASSET_PATH
from sabir.provider.assets_ranges import brought_span
from sabir.provider.core import Core
from sabir.provider.federation import Call, Service
from sabir.provider.http import Answer, Exchange, Route, Streamed
from sabir.provider.peers import PeerFailed
from sabir.provider.rates import Rate, RateLimit
from sabir.storage.provider.records import AssetRecord
from sabir.wire.errors import Malformed

STALL_S: Final = 30.0
"""Seconds for the next piece of an upload."""
PUBLIC_RATE: Final = Rate(count=600, per_ms=60_000)
"""Of one provider, or of one address without a certificate."""


def public_route(core: Core) -> Route:
    """Return the route of our assets: whoever knows a URL gets what is there."""
    rate = RateLimit(PUBLIC_RATE)

    async def serve(exchange: Exchange) -> Streamed:
        core.admission.check_host(exchange)
        rate.spend(exchange.client, now_ms=core.clock.monotonic_ms())
        return await core.assets.stream(
            exchange.variables["name"], exchange.request.headers
        )

    return Route(method="GET", template=ASSET_PATH, handler=serve)


def proxy_download(core: Core) -> Service:
    """Return the service `proxyDownload`: we fetch, and nobody sees for whom."""

    async def serve(call: Call) -> Streamed:
        return await core.downloads.from_host(call.about, client=call.source)

    return serve


class AssetDoors:
    """What devices of ours do with files."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def operations(self) -> Sequence[RawOperation]:
        """Return the operations of the agent API."""
        return (
            RawOperation(method="POST", template=ASSETS, handler=self._upload),
            RawOperation(method="GET", template=UPLOAD, handler=self._state),
            RawOperation(method="GET", template=ASSETS, handler=self._download),
        )

    async def _upload(self, caller: Caller, exchange: Exchange) -> Answer:
        """Take all octets of a file, or the next ones."""
        fields = exchange.request.headers
        key = _key(fields.get(IDEMPOTENCY_FIELD, ""))
        span = brought_span(
            fields.get("Content-Range"), exchange.request.content_length
        )
        chunks = exchange.chunks(ASSET_OCTETS_MAX, stall_s=STALL_S)
        async with aclosing(chunks):
            record = await self._core.assets.take(caller.device, key, span, chunks)
        if record is None:
            return json_answer(UploadState(offset=span.end), HTTPStatus.ACCEPTED)
        return json_answer(self._stored(record), HTTPStatus.CREATED)

    async def _state(self, caller: Caller, exchange: Exchange) -> Answer:
        """Say where an upload goes on."""
        key = _key(exchange.variables["key"])
        offset = await self._core.assets.offset(caller.device, key)
        return json_answer(UploadState(offset=offset))

    async def _download(self, caller: Caller, exchange: Exchange) -> Streamed:
        """Hand out a file, on the ways that are allowed, one after the other."""
        url, ways, hub = _wanted(exchange.query)
        fields = exchange.request.headers
        range_ = fields.get("Range", "")
        assets, downloads = self._core.assets, self._core.downloads
        failed = Problem(ProblemCode.NOT_FOUND, "no way that is allowed leads there")
        for way in ways:
            try:
                if way == "direct":
                    return await downloads.from_host(
                        url, client=caller.device, range_=range_
                    )
                if way == "hub" and hub:
                    return await downloads.from_hub(
                        hub, url, client=caller.device, range_=range_
                    )
                name = assets.name_of(url)
                if way == "local" and name is not None:
                    return await assets.stream(name, fields)
            except PeerFailed as peer_failed:
                failed = peer_failed
        raise failed

    def _stored(self, record: AssetRecord) -> AssetStored:
        return AssetStored(
            url=self._core.assets.url(record.name),
            size=record.size,
            sha256=Octets(record.sha256),
            expires_ms=record.expires_at,
        )


def _key(text: str) -> str:
    if IDEMPOTENCY_KEY.fullmatch(text) is None:
        raise _wrong(f"{IDEMPOTENCY_FIELD} must be 1 to 64 visible ASCII characters")
    return text


def _wanted(query: str) -> tuple[str, tuple[str, ...], str]:
    """Read the query of a download: URL, ways, hub or empty.

    Raises:
        Problem: MALFORMED_BODY.
    """
    url = query_value(query, "url", "")
    ways = tuple(query_value(query, "via", "local,hub").split(","))
    hub = query_value(query, "hub", "")
    if not url or not set(ways) <= set(WAYS):
        raise _wrong(f"the query needs a url, and in via some of {', '.join(WAYS)}")
    if hub and not _is_domain(hub):
        raise _wrong("the hub is no domain")
    return url, tuple(dict.fromkeys(ways)), hub


def _is_domain(text: str) -> bool:
    try:
        return domain_of(SCHEME + text) == text
    except Malformed:
        return False


def _wrong(why: str) -> Problem:
    return Problem(ProblemCode.MALFORMED_BODY, why)
