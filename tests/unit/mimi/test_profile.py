"""The profile's limits: one for each endpoint, and those the manual tells."""

import re
from pathlib import Path
from typing import Final

from sabir.mimi.directory import Endpoint
from sabir.mimi.policy.errors import Slug
from sabir.mimi.problems import ProblemCode
from sabir.mimi.profile import MIMI06_A

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "mimi.md"
ROW: Final = re.compile(
    r"^\| `(\w+)` \| `(\w+)` \| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE
)
OF_AGENTS: Final = {
    ProblemCode.UNAUTHORIZED,
    ProblemCode.NOT_ALLOWED,
    ProblemCode.IDEMPOTENCY_CONFLICT,
}
"""Codes that only the agent API uses."""


def test_each_endpoint_has_limits() -> None:
    assert MIMI06_A.request_octets_max.keys() == set(Endpoint)
    assert MIMI06_A.answer_octets_max.keys() == set(Endpoint)


def test_the_manual_tells_the_limits() -> None:
    told = [
        (name, variable, int(request.replace(",", "")), int(answer.replace(",", "")))
        for name, variable, request, answer in ROW.findall(PAGE.read_text("utf-8"))
    ]
    assert told == [
        (
            endpoint.value,
            endpoint.variable,
            MIMI06_A.request_octets_max[endpoint],
            MIMI06_A.answer_octets_max[endpoint],
        )
        for endpoint in Endpoint
    ]


def test_the_manual_tells_the_codes_and_words() -> None:
    page = PAGE.read_text("utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \| (`.*`.*) \|$", page, re.MULTILINE)
    told = {
        (int(status), code)
        for statuses, codes in rows
        for code in re.findall(r"`([a-z-]+)`", codes)
        for status in statuses.split(", ")
    }
    for code in set(ProblemCode) - OF_AGENTS:
        assert (code.status, code.value) in told, code
    assert {code for _, code in told} == {
        code.value for code in set(ProblemCode) - OF_AGENTS
    }
    assert set(re.findall(r"`([a-z-]+\.[a-z-]+)`", page)) >= set(Slug)
