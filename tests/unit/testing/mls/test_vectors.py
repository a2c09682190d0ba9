"""Every vector is read whole, and a check that cannot fail is found out."""

import json
import lzma
from pathlib import Path

import pytest

from sabir.errors import ConfigInvalid
from sabir.testing.mls.vectors import (
    EXPECTED,
    Case,
    Strict,
    cases,
    check_can_fail,
    flips,
    load,
)

SAMPLE = {
    "cipher_suite": 1,
    "label": "not hex",
    "nothing": None,
    "secret": "000102",
    "epochs": [{"commit": "aa", "proposals": ["bb", "cc"]}, {"commit": "dd"}],
}


def test_what_nobody_read_is_named() -> None:
    vector = Strict(SAMPLE)
    assert vector.unread() == list(SAMPLE)
    assert vector.octets("secret") == b"\0\1\2"
    assert vector["cipher_suite"] == 1
    assert vector["label"] == "not hex"
    assert vector.octets_or_none("nothing") is None
    assert vector.unread() == ["epochs"]
    first, second = vector["epochs"]
    assert first["proposals"] == ["bb", "cc"]
    assert vector.unread() == ["epochs[0].commit", "epochs[1].commit"]
    assert "commit" in second
    assert vector.unread() == ["epochs[0].commit", "epochs[1].commit"]
    assert second.octets_or_none("commit") == b"\xdd"
    assert first["commit"] == "aa"
    assert vector.unread() == []


@pytest.mark.parametrize("file", EXPECTED)
def test_each_file_is_here_and_holds_what_it_should(file: str) -> None:
    chosen = cases(file)
    assert len(chosen) == sum(EXPECTED[file].values())
    for case in chosen:
        vector = load(case)
        assert case.suite == vector.plain().get("cipher_suite")
        assert vector.unread() == list(vector)
    assert len({json.dumps(load(case).plain()) for case in chosen}) == len(chosen)


def test_sixteen_files_are_known() -> None:
    assert len(EXPECTED) == 16
    assert sum(sum(suites.values()) for suites in EXPECTED.values()) == 785


def test_one_of_each_suite_and_one_suite_can_be_chosen() -> None:
    assert [case.suite for case in cases("welcome")] == [1, 2, 3, 4, 5, 6, 7]
    assert len(cases("treekem", first=True)) == 7
    assert [str(case) for case in cases("secret-tree", suites=[2])] == [
        "secret-tree-suite2-0",
        "secret-tree-suite2-1",
        "secret-tree-suite2-2",
    ]
    assert str(cases("tree-math")[3]) == "tree-math-all-3"


@pytest.mark.parametrize("ending", [".json", ".json.xz"])
def test_vectors_come_plain_or_compressed_from_another_folder(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SABIR_MLS_VECTORS", str(tmp_path))
    text = json.dumps([{"cipher_suite": 1, "here": at} for at in range(5)]).encode()
    packed = lzma.compress(text) if ending.endswith("xz") else text
    (tmp_path / f"tree-operations{ending}").write_bytes(packed)
    last = Case(file="tree-operations", suite=1, number=4, whole=True)
    assert load(last)["here"] == 4


def test_a_file_with_fewer_vectors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SABIR_MLS_VECTORS", str(tmp_path))
    (tmp_path / "tree-operations.json").write_text('[{"cipher_suite": 1}]')
    with pytest.raises(ConfigInvalid, match=r"\{1: 1\} vectors by suite, not \{1: 5\}"):
        load(cases("tree-operations")[0])


def test_missing_files_and_folders_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SABIR_MLS_VECTORS", str(tmp_path))
    with pytest.raises(ConfigInvalid, match=r"No welcome\.json and no"):
        load(cases("welcome")[0])
    monkeypatch.setenv("SABIR_MLS_VECTORS", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigInvalid, match="SABIR_MLS_VECTORS"):
        load(cases("welcome")[0])


def test_each_changeable_field_is_changed_alone() -> None:
    vector = Strict(SAMPLE)
    found = {path: changed.plain() for path, changed in flips(vector)}
    assert list(found) == [
        "cipher_suite",
        "secret",
        "epochs[0].commit",
        "epochs[0].proposals[0]",
    ]
    assert found["secret"] == {**SAMPLE, "secret": "000002"}
    assert found["cipher_suite"] == {**SAMPLE, "cipher_suite": 0}
    assert found["epochs[0].proposals[0]"]["epochs"] == [
        {"commit": "aa", "proposals": ["ba", "cc"]},
        {"commit": "dd"},
    ]
    assert vector.plain() == SAMPLE
    every = [path for path, _ in flips(vector, every=True)]
    assert {*every} - {*found} == {"epochs[0].proposals[1]", "epochs[1].commit"}


def _sum_is_right(vector: Strict) -> None:
    if vector["a"] > 1000:
        raise OverflowError
    assert vector["a"] + vector["b"] == vector["sum"]


def test_a_check_that_notices_everything_passes() -> None:
    check_can_fail(_sum_is_right, Strict({"a": 1, "b": 2, "sum": 3}))


def test_a_check_that_notices_nothing_of_a_field_is_named() -> None:
    blind = Strict({"a": 1, "b": 2, "sum": 3, "more": [4, 5]})
    with pytest.raises(AssertionError, match=r"nobody noticed: \['more\[\]'\]"):
        check_can_fail(_sum_is_right, blind)
    check_can_fail(_sum_is_right, blind, unseen={"more[]": "not part of the sum"})


def test_a_known_blind_spot_that_is_none_is_named() -> None:
    with pytest.raises(AssertionError, match=r"known: \['a'\]"):
        check_can_fail(
            _sum_is_right, Strict({"a": 1, "b": 2, "sum": 3}), unseen={"a": "why"}
        )


def test_an_error_that_is_no_refusal_is_not_swallowed() -> None:
    near = Strict({"a": 1000, "b": 2, "sum": 1002})
    with pytest.raises(OverflowError):
        check_can_fail(_sum_is_right, near)
    check_can_fail(_sum_is_right, near, refusals=(OverflowError,))


def test_a_vector_that_fails_unchanged_proves_nothing() -> None:
    with pytest.raises(AssertionError):
        check_can_fail(_sum_is_right, Strict({"a": 1, "b": 2, "sum": 4}))
