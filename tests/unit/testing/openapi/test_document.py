"""The checker refuses what the description does not allow."""

from typing import Any

import pytest

from sabir.testing.openapi.document import Request, whatsapp_cloud

HEADERS = {
    "authorization": "Bearer T",
    "user-agent": "Sabir/0.1.0",
    "content-type": "application/json",
}
TEXT = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "15557654321",
    "type": "text",
    "text": {"body": "hi"},
}
MESSAGES = "/v23.0/100000000000000/messages"


def found(method: str, path: str, **more: Any) -> list[str]:
    asked = {"query": {}, "headers": HEADERS, **more}
    return whatsapp_cloud().violations(Request(method=method, path=path, **asked))


def test_what_is_described_is_let_through() -> None:
    assert found("POST", MESSAGES, body=TEXT) == []
    assert found("GET", "/v23.0/1", query={"fields": "id,name"}) == []
    assert found("GET", "/v23.0/1/groups", query={"limit": "100"}) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"path": "/messages"}, "not described"),
        ({"method": "DELETE"}, "not described"),
        ({"path": "/23/1/messages"}, "version"),
        ({"headers": {**HEADERS, "authorization": "x"}}, "bearer"),
        ({"headers": {**HEADERS, "user-agent": "python"}}, "User-Agent"),
        ({"headers": {k: v for k, v in HEADERS.items() if k[0] != "u"}}, "missing"),
        ({"headers": {**HEADERS, "content-type": "text/plain"}}, "content type"),
        ({"query": {"x": "1"}}, "unknown query"),
        ({"body": None}, "body"),
        ({"body": {**TEXT, "text": {"body": ""}}}, "body"),
        ({"body": {**TEXT, "more": 1}}, "body"),
    ],
)
def test_what_is_not_is_named(asked: dict[str, Any], words: str) -> None:
    whole = {"method": "POST", "path": MESSAGES, "body": TEXT, **asked}
    assert any(words in line for line in found(**whole)), found(**whole)


def test_a_query_and_a_body_are_checked_by_type() -> None:
    assert found("GET", "/v23.0/1/groups", query={"limit": "5000"})
    assert found("GET", "/v23.0/1/groups", query={"limit": "x"})
    assert found("GET", "/v23.0/1", body={}) == ["a body, where none is described"]
