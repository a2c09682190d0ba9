"""Lengths in every unit, and where characters end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.capabilities import TextUnit
from sabir.content.measuring import (
    COST_MAX,
    cluster_start,
    clusters,
    measure,
    starts_cluster,
)

FAMILY = "👩‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "unit", "length"),
    [
        ("abc", TextUnit.UTF16, 3),
        ("é", TextUnit.UTF16, 1),
        ("😀", TextUnit.UTF16, 2),
        (FAMILY, TextUnit.UTF16, 11),
        ("abc", TextUnit.OCTETS, 3),
        ("é😀", TextUnit.OCTETS, 6),
        ("שלום", TextUnit.OCTETS, 8),
        ("abc@£", TextUnit.GSM7, 5),
        ("a€[", TextUnit.GSM7, 5),
        ("ж" * 70, TextUnit.GSM7, 160),
        ("ж" * 71, TextUnit.GSM7, 163),
        ('a"\n', TextUnit.JSON, 5),
        ("\x01é", TextUnit.JSON, 8),
    ],
)
def test_the_length_is_the_networks(text: str, unit: TextUnit, length: int) -> None:
    assert measure(text, unit) == length


@given(st.text())
def test_json_octets_are_those_of_json(text: str) -> None:
    text = text.replace("\x7f", "")
    encoded = json.dumps(text, ensure_ascii=False).encode(errors="replace")
    assert measure(text, TextUnit.JSON) == len(encoded) - 2


@given(st.text(), st.sampled_from(TextUnit))
def test_no_character_costs_more_than_the_most(text: str, unit: TextUnit) -> None:
    assert measure(text, unit) <= len(text) * COST_MAX


@pytest.mark.parametrize(
    ("text", "at", "start"),
    [
        ("abc", 2, 2),
        (FAMILY, 3, 0),
        (f"x {FAMILY}", 5, 2),
        (f"xy{FAMILY}", 5, 2),
        ("ab", 2, 2),
        ("e\u0301e\u0301", 3, 2),
        ("🇩🇪🇫🇷", 3, 2),
    ],
)
def test_a_cluster_is_never_cut(text: str, at: int, start: int) -> None:
    assert cluster_start(text, at) == start


def test_what_belongs_to_the_character_before_starts_nothing() -> None:
    assert not starts_cluster("e\u0301", 1)
    assert not starts_cluster("👍🏽", 1)
    assert starts_cluster("ab", 1)
    assert starts_cluster("ab", 2)


def test_the_first_clusters_are_whole() -> None:
    assert clusters(FAMILY * 3, 2) == FAMILY * 2
    assert clusters("ab", 5) == "ab"
    assert clusters("abc", 0) == ""
