"""The pipe to ts-mls: what it sends, and what it says when the other end is ill."""

import sys
from pathlib import Path

import pytest

from sabir.errors import LocalError, Unavailable
from sabir.testing.mls import tsmls
from sabir.testing.mls.tsmls import TsMls, TsMlsRefused

STAND_IN = """#!{python}
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    op = request["op"]
    if op == "die":
        sys.exit("out of memory")
    if op == "sleep":
        continue
    answer = {{"id": request["id"], "ok": op != "refuse", "ms": 1.5, "said": request}}
    if op == "refuse":
        answer["error"] = {{"name": "ValidationError", "message": "no"}}
    if op == "confused":
        answer["id"] = 0
    if op == "much":
        answer["much"] = "0" * 1_000_000
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for node, which can be ill in ways the real one is not."""
    program = tmp_path / "node"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.usefixtures("node")
def test_octets_are_sent_as_hex_and_time_is_kept() -> None:
    with TsMls() as peer:
        answer = peer.call("echo", g="g1", data=b"\0\xff")
        assert answer["said"] == {"id": 2, "op": "echo", "g": "g1", "data": "00ff"}
        assert peer.last_ms == 1.5
        assert len(peer.call("much")["much"]) == 1_000_000
        assert peer.call("echo")["said"]["id"] == 4


@pytest.mark.usefixtures("node")
def test_a_refusal_names_the_error() -> None:
    with TsMls() as peer:
        with pytest.raises(TsMlsRefused, match="ValidationError: no") as refused:
            peer.call("refuse")
        assert refused.value.name == "ValidationError"


@pytest.mark.usefixtures("node")
def test_a_peer_that_ended_shows_what_it_said() -> None:
    with TsMls() as peer:
        with pytest.raises(Unavailable, match="out of memory"):
            peer.call("die")
        with pytest.raises(Unavailable, match="has ended"):
            peer.call("echo")


@pytest.mark.usefixtures("node")
def test_a_peer_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with TsMls() as peer:
        monkeypatch.setattr(tsmls, "_ANSWER_TIMEOUT_S", 0.05)
        with pytest.raises(Unavailable, match="not answered"):
            peer.call("sleep")


@pytest.mark.usefixtures("node")
def test_an_answer_to_another_question_is_our_fault() -> None:
    with TsMls() as peer, pytest.raises(LocalError, match="answer 0 to request 2"):
        peer.call("confused")


@pytest.mark.usefixtures("node")
def test_what_is_no_argument_is_refused_before_it_is_sent() -> None:
    with TsMls() as peer:
        with pytest.raises(TypeError, match="a set is no argument"):
            peer.call("echo", data={1})
        assert peer.call("echo")["ok"]


def test_without_node_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"sabir\.testing\.install ts-mls"):
        TsMls()
