"""Answers of Meta's, and of what stands in its place, become our errors."""

from collections.abc import AsyncIterator, Mapping
from typing import cast

import pytest
from aiohttp import ClientResponse

from sabir.errors import CredentialsRefused, PeerMisbehaved, Unavailable
from sabir.networks.whatsapp.client import (
    NotMade,
    Rejected,
    read_answer,
    refusal,
    user_agent,
)


def meta(code: int, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": "no", "fbtrace_id": "AbC", **more}}


def test_the_user_agent_has_the_form_that_meta_demands() -> None:
    name, _, version = user_agent().partition("/")
    assert name == "Sabir"
    assert len(version.split(".")) == 3
    assert all(part.isdecimal() for part in version.split("."))


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (meta(190), 401, CredentialsRefused),
        (meta(4), 400, NotMade),
        (meta(131047), 400, Rejected),
        (None, 401, CredentialsRefused),
        (None, 429, NotMade),
        (None, 502, Unavailable),
        ("<html>", 404, Unavailable),
        ({"error": "x"}, 400, Unavailable),
    ],
)
def test_a_refusal_says_who_acts(body: object, status: int, kind: type) -> None:
    assert type(refusal(body, status, "")) is kind


def test_only_metas_own_word_means_that_nothing_arrived() -> None:
    assert not isinstance(refusal(meta(131000), 500, ""), NotMade)
    assert isinstance(refusal(meta(131000), 400, ""), NotMade)


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [("9", 9_000), ("", 6_000), ("soon", 6_000), ("9999999", 3_600_000)],
)
def test_the_header_says_how_long_to_wait(header: str, wait_ms: int) -> None:
    found = refusal(meta(131056), 429, header)
    assert isinstance(found, Unavailable)
    assert found.retry_after_ms == wait_ms


class Answer:
    """An answer's body in memory."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, *chunks: bytes) -> None:
        self.content = self
        self._chunks = chunks

    async def iter_any(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


@pytest.mark.parametrize("chunks", [(b"[]",), (b"<html>",), (b" " * 700_000,) * 2])
async def test_an_answer_of_another_form_is_named_by_its_rule(
    chunks: tuple[bytes, ...],
) -> None:
    with pytest.raises(PeerMisbehaved) as raised:
        await read_answer(cast(ClientResponse, Answer(*chunks)))
    assert raised.value.rule == "WHATSAPP-010"
    found = await read_answer(cast(ClientResponse, Answer(b'{"id":', b'"1"}')))
    assert found == {"id": "1"}
