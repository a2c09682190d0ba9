"""A thin client of Meta's Graph API: the calls a number makes.

* Every failure becomes an error of the blame tree; what Meta refused becomes
  `Rejected`, with what follows from its code.
* Whether a request can have arrived is said by the error: `NotMade` means it surely
  did not, any other `Unavailable` leaves it open.
* Nothing is repeated here.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import aiohttp
from yarl import URL

from sabir.crypto.secrets import Secret
from sabir.errors import (
    CredentialsRefused,
    PeerMisbehaved,
    PolicyRefused,
    Unavailable,
)
from sabir.networks.whatsapp.verdicts import (
    Blame,
    GraphError,
    Verdict,
    graph_error,
    judge,
    sentence,
)

CONNECTIONS_MAX: Final = 16
"""Chats send at the same time; Meta takes 80 messages a second from one number."""
REQUEST_TIMEOUT_S: Final = 30
CONNECT_TIMEOUT_S: Final = 10
ANSWER_OCTETS_MAX: Final = 1024 * 1024
"""The largest answers are pages of 100 groups."""
RETRY_AFTER_MAX_MS: Final = 3_600_000
GROUPS_PAGE: Final = 100
PAGES_MAX: Final = 20
"""2,000 groups; nobody links more by hand."""

Json = Mapping[str, Any]


class NotMade(Unavailable):
    """A request that certainly did not arrive; it may be made again."""


class Rejected(PolicyRefused):
    """Meta answered with an error.

    Args:
        error: Meta's own.
        verdict: what follows from it.
        status: of the HTTP answer.
    """

    def __init__(self, error: GraphError, verdict: Verdict, status: int) -> None:
        super().__init__(sentence(error, verdict))
        self.error = error
        self.verdict = verdict
        self.status = status


def user_agent() -> str:
    """Return `Sabir/1.2.3`: Meta's description demands exactly this form."""
    found = re.match(r"[0-9]+\.[0-9]+\.[0-9]+", version("sabir"))
    return f"Sabir/{found[0] if found else '0.0.0'}"


@asynccontextmanager
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a pool of connections with certificates checked."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S
        ),
        raise_for_status=False,
    ) as session:
        yield session


class Client:
    """One number's token at the Graph API."""

    def __init__(
        self,
        base_url: str,
        graph_version: str,
        session: aiohttp.ClientSession,
        *,
        number_id: str,
        token: Secret,
    ) -> None:
        self.base_url = base_url
        self.number_id = number_id
        self._root = f"{base_url}/{graph_version}"
        self._session = session
        self._headers = {
            "Authorization": f"Bearer {token.reveal_text()}",
            "User-Agent": user_agent(),
        }

    # ---- what a number does

    async def number(self) -> Json:
        """Return what Meta knows of the number (name, quality)."""
        fields = "display_phone_number,verified_name,quality_rating"
        return await self.call("GET", self.number_id, query={"fields": fields})

    async def post_message(self, body: Json) -> Json:
        """Send a message, or a read mark."""
        return await self.call("POST", f"{self.number_id}/messages", body=body)

    async def media(self, media_id: str) -> Json:
        """Return where a file is, for five minutes."""
        query = {"phone_number_id": self.number_id}
        return await self.call("GET", media_id, query=query)

    async def group(self, group_id: str) -> Json:
        """Return a group's name and description."""
        fields = "subject,description,total_participant_count"
        return await self.call("GET", group_id, query={"fields": fields})

    async def groups(self) -> list[Json]:
        """Return the groups of this number: id and subject."""
        found: list[Json] = []
        query: dict[str, str] = {"limit": str(GROUPS_PAGE)}
        for _ in range(PAGES_MAX):
            page = await self.call("GET", f"{self.number_id}/groups", query=query)
            data = page.get("data")
            groups = data.get("groups") if isinstance(data, dict) else None
            found += [g for g in groups or [] if isinstance(g, dict)]
            after = _after(page)
            if not groups or after is None:
                break
            query["after"] = after
        return found

    # ---- the wire

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Make one request and return the answer.

        Raises:
            Rejected: Meta said no, for good.
            CredentialsRefused: it does not take our token, or we not its certificate.
            NotMade: no connection; or Meta asks us to wait.
            Unavailable: no answer; the request may have arrived.
            PeerMisbehaved: WHATSAPP-010, the answer is no JSON object or too large.
        """
        # Meta's description wants the type also on requests without a body.
        headers = {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = URL(f"{self._root}/{path}").with_query(query or {})
        async with self.request(method, url, data=data, headers=headers) as answer:
            return await read_answer(answer)

    def upload_url(self) -> URL:
        """Return where files go."""
        return URL(f"{self._root}/{self.number_id}/media")

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        data: AsyncIterator[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make a request with our token; redirects are not followed."""
        if self._session.closed:
            raise NotMade("not connected to WhatsApp")
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers={**self._headers, **(headers or {})},
                allow_redirects=False,
                timeout=timeout or aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            ) as answer:
                yield answer
        except aiohttp.ClientConnectorCertificateError as error:
            raise CredentialsRefused(
                f"the certificate of {url.host} is not valid; check graph_url, this "
                "machine's clock and its trusted certificates"
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise NotMade(
                f"{url.host} cannot be reached ({error.strerror or 'no connection'}); "
                "check this machine's network and graph_url"
            ) from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable(
                f"{url.host} does not answer ({type(error).__name__}); check this "
                "machine's network"
            ) from error


async def read_answer(answer: aiohttp.ClientResponse) -> Json:
    """Return an answer's object, or raise what its status means (see `Client.call`)."""
    octets = bytearray()
    async for chunk in answer.content.iter_any():
        octets += chunk
        if len(octets) > ANSWER_OCTETS_MAX:
            raise PeerMisbehaved(
                "WHATSAPP-010", f"more than {ANSWER_OCTETS_MAX} octets"
            )
    try:
        body = json.loads(octets)
    except (ValueError, RecursionError):
        body = None
    if answer.status == 200:
        if not isinstance(body, dict):
            raise PeerMisbehaved("WHATSAPP-010", "the answer is not a JSON object")
        return body
    raise refusal(body, answer.status, answer.headers.get("Retry-After", ""))


def refusal(
    body: object, status: int, retry_after: str
) -> Rejected | CredentialsRefused | Unavailable:
    """Return what an answer other than 200 means."""
    found = body.get("error") if isinstance(body, dict) else None
    if not isinstance(found, dict) and status < 500 and status not in {401, 429}:
        return Unavailable(
            f"something else answers at graph_url (status {status} without an error of "
            "Meta's); check graph_url and proxies"
        )
    error = graph_error(found)
    verdict = judge(error, status=status)
    match verdict.blame:
        case Blame.TOKEN:
            return CredentialsRefused(f"WhatsApp: {sentence(error, verdict)}")
        case Blame.WAIT:
            wait_ms = verdict.wait_ms
            if retry_after.isascii() and retry_after.isdecimal():
                wait_ms = min(int(retry_after[:6]) * 1000, RETRY_AFTER_MAX_MS)
            return _later(sentence(error, verdict), wait_ms, status, found)
        case Blame.REFUSED:
            return Rejected(error, verdict, status)


def _later(words: str, wait_ms: int | None, status: int, found: object) -> Unavailable:
    """Meta's own error means it was not accepted; a bare 5xx leaves that open."""
    is_certain = isinstance(found, dict) and status < 500
    kind = NotMade if is_certain or status == 429 else Unavailable
    return kind(words, retry_after_ms=wait_ms)


def _after(page: Json) -> str | None:
    paging = page.get("paging")
    cursors = paging.get("cursors") if isinstance(paging, dict) else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    has_next = isinstance(paging, dict) and bool(paging.get("next"))
    return after if isinstance(after, str) and after and has_next else None
