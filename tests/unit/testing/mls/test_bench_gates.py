"""The benchmark beside ts-mls names the gates that fail."""

import runpy
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[4] / "bench" / "mls.py"


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(BENCH))


def result(bench: dict[str, Any], **theirs: float) -> dict[str, Any]:
    """Make times of groups of two: ours 1 ms, ts-mls 10, floors 1, unless said."""
    return {
        name: {2: {"sabir_ms": 1.0, "ts_mls_ms": theirs.get(name, 10.0), "floor_ms": 1}}
        for name in (*bench["OPERATIONS"], "leaf_signatures")
    }


def test_no_gate_fails_where_all_hold(bench: dict[str, Any]) -> None:
    assert bench["gates"](result(bench), 2) == []


def test_what_fails_is_named_with_its_figure(bench: dict[str, Any]) -> None:
    slow = result(bench, decrypt=4.0)
    slow["join"][2]["floor_ms"] = slow["leaf_signatures"][2]["floor_ms"] = 0.5
    slow["process"][2]["sabir_ms"] = 9.0
    slow["process"][2]["ts_mls_ms"] = 90.0
    slow["encrypt"][2]["floor_ms"] = 0.5
    failed = bench["gates"](slow, 2)
    assert [text[:2] for text in failed] == ["G1", "G2", "G3", "G4"]
    assert "decrypt(2) 4.0" in failed[0]
    assert failed[2] == "G3: process 9.00 ms"
