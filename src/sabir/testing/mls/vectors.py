"""The official vectors of MLS: reading them strictly, and changing them.

Source: mlswg/mls-implementations, `test-vectors`. They lie in `tests/vectors/mls` of
the checkout, compressed; `SABIR_MLS_VECTORS` names another folder, where they may be
plain. Test modules use `for_each`, which makes a test of each vector; the fixture
`vector` is in `sabir.testing.mls.pytest_plugin`, with the checks that none is left out.
"""

import copy
import json
import lzma
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pytest

from sabir.errors import ConfigInvalid, Error

SUITES: Final = (1, 2, 3, 4, 5, 6, 7)


def _each_suite(count: int) -> Mapping[int | None, int]:
    return dict.fromkeys(SUITES, count)


EXPECTED: Final[Mapping[str, Mapping[int | None, int]]] = {
    "crypto-basics": _each_suite(1),
    "deserialization": {None: 14},
    "key-schedule": _each_suite(1),
    "message-protection": _each_suite(1),
    "messages": {None: 300},
    "passive-client-handling-commit": _each_suite(13),
    "passive-client-random": {1: 1},
    "passive-client-welcome": _each_suite(8),
    "psk_secret": _each_suite(11),
    "secret-tree": _each_suite(3),
    "transcript-hashes": _each_suite(1),
    "tree-math": {None: 10},
    "tree-operations": {1: 5},
    "tree-validation": _each_suite(14),
    "treekem": _each_suite(11),
    "welcome": _each_suite(1),
}
"""How many vectors each file holds, by cipher suite; None where a file names none."""


class Strict(Mapping[str, Any]):
    """A JSON object that knows which of its keys were never read.

    Objects inside are `Strict` too, in lists as well. Asking whether a key is there
    does not read it.

    Args:
        value: the object.
        path: where it stands, for messages.
    """

    def __init__(self, value: Mapping[str, Any], path: str = "") -> None:
        self.path = path
        self._raw = value
        self._values = {
            key: _wrap(item, f"{path}.{key}" if path else key)
            for key, item in value.items()
        }
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        self._read.add(key)
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<vector {self.path}: {', '.join(self._values)}>"

    def octets(self, key: str) -> bytes:
        """Return what a key says in hex."""
        return bytes.fromhex(self[key])

    def octets_or_none(self, key: str) -> bytes | None:
        """Return what a key says in hex, None where it says `null`."""
        value = self[key]
        return None if value is None else bytes.fromhex(value)

    def unread(self) -> list[str]:
        """Return the paths that nobody has read, an unread object as one path."""
        paths = []
        for key, value in self._values.items():
            if key not in self._read:
                paths.append(f"{self.path}.{key}" if self.path else key)
                continue
            for inner in _objects(value):
                paths += inner.unread()
        return paths

    def plain(self) -> dict[str, Any]:
        """Return a copy without the bookkeeping; this reads nothing."""
        return copy.deepcopy(dict(self._raw))


def _wrap(value: object, path: str) -> object:
    if isinstance(value, dict):
        return Strict(value, path)
    if isinstance(value, list):
        return [_wrap(item, f"{path}[{at}]") for at, item in enumerate(value)]
    return value


def _objects(value: object) -> Iterator[Strict]:
    """Find the nearest objects inside: the value itself, or what its lists hold."""
    if isinstance(value, Strict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One vector, and what a test promises about it."""

    file: str
    suite: int | None
    number: int
    """Among the vectors of this suite, from 0."""
    whole: bool
    """The test reads every key: it counts as the run of this vector."""

    def __str__(self) -> str:
        kind = "all" if self.suite is None else f"suite{self.suite}"
        return f"{self.file}-{kind}-{self.number}"


def cases(
    file: str,
    *,
    whole: bool = True,
    first: bool = False,
    suites: Sequence[int] | None = None,
) -> list[Case]:
    """List the vectors of a file without opening it.

    Args:
        file: its name without ending, a key of `EXPECTED`.
        whole: the test reads every key.
        first: only the first of each suite, for tests that take long.
        suites: only these.
    """
    return [
        Case(file=file, suite=suite, number=number, whole=whole)
        for suite, count in EXPECTED[file].items()
        if suites is None or suite in suites
        for number in range(1 if first else count)
    ]


def for_each(
    file: str,
    *,
    whole: bool = True,
    first: bool = False,
    suites: Sequence[int] | None = None,
) -> pytest.MarkDecorator:
    """Make a test with the argument `vector: Strict` for the vectors of a file.

    The test fails if it leaves a key unread, unless `whole` is false: say so where
    another test reads all of it. The arguments are those of `cases`.
    """
    chosen = cases(file, whole=whole, first=first, suites=suites)
    return pytest.mark.parametrize("vector", chosen, ids=str, indirect=True)


def folder() -> Path:
    """Return where the vectors are.

    Raises:
        ConfigInvalid: there is no such folder.
    """
    chosen = os.environ.get("SABIR_MLS_VECTORS")
    checkout = Path(__file__).resolve().parents[4]
    found = Path(chosen) if chosen else checkout / "tests" / "vectors" / "mls"
    if not found.is_dir():
        raise ConfigInvalid(
            f"No folder {found}. Set SABIR_MLS_VECTORS to a folder with the files of "
            "mlswg/mls-implementations, test-vectors."
        )
    return found


@lru_cache(maxsize=2)
def _read(inside: Path, file: str) -> Mapping[int | None, Sequence[dict[str, Any]]]:
    plain = inside / f"{file}.json"
    if plain.exists():
        text = plain.read_bytes()
    else:
        packed = inside / f"{file}.json.xz"
        if not packed.exists():
            raise ConfigInvalid(f"No {file}.json and no {file}.json.xz in {inside}.")
        text = lzma.decompress(packed.read_bytes())
    vectors = json.loads(text)
    found = Counter(vector.get("cipher_suite") for vector in vectors)
    if found != EXPECTED[file]:
        raise ConfigInvalid(
            f"{file} in {inside} has {dict(found)} vectors by suite, not "
            f"{dict(EXPECTED[file])}. Take the version that SOURCE.md names, or "
            "change EXPECTED."
        )
    return {
        suite: [vector for vector in vectors if vector.get("cipher_suite") == suite]
        for suite in found
    }


def load(case: Case) -> Strict:
    """Return a vector, unread.

    Raises:
        ConfigInvalid: the file is missing, or does not hold what it should.
    """
    return Strict(_read(folder(), case.file)[case.suite][case.number])


# ---- a runner must be able to fail

_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
_INDEX: Final = re.compile(r"\[\d+\]")


def flips(vector: Strict, *, every: bool = False) -> Iterator[tuple[str, Strict]]:
    """Change one field at a time: an octet of what is hex, the last bit of numbers.

    The octet is the one in the middle: both ends of an X25519 or X448 private key
    have bits that mean nothing. Other texts, `null` and empty ones stay as they are.

    Args:
        vector: it stays as it is.
        every: change each element of a list; else the first changeable field of a
            kind, as `epochs[].commit`.

    Yields:
        the path of the field, and the vector with only this field changed.
    """
    seen: set[str] = set()
    for keys, path in _leaves(vector.plain(), (), ""):
        kind = _INDEX.sub("[]", path)
        if kind in seen and not every:
            continue
        seen.add(kind)
        changed = vector.plain()
        place: Any = changed
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = _flipped(place[keys[-1]])
        yield path, Strict(changed)


def _leaves(
    value: object, keys: tuple[str | int, ...], path: str
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*keys, key), f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _leaves(item, (*keys, at), f"{path}[{at}]")
    elif isinstance(value, int) or (isinstance(value, str) and _HEX.fullmatch(value)):
        yield keys, path


def _flipped(value: int | str) -> int | str:
    if isinstance(value, int):
        return value ^ 1
    octets = bytearray.fromhex(value)
    octets[len(octets) // 2] ^= 1
    return octets.hex()


def check_can_fail(
    check: Callable[[Strict], object],
    vector: Strict,
    *,
    unseen: Mapping[str, str] | None = None,
    refusals: tuple[type[Exception], ...] = (),
    every: bool = False,
) -> None:
    """Assert that a vector test notices every change of `flips`.

    Args:
        check: what the test does with a vector.
        vector: passes the check as it is.
        unseen: fields whose change nobody can see, as `epochs[].proposals[]`, each
            with the reason. A change that is seen all the same fails, too.
        refusals: what may be raised besides `AssertionError` and `sabir.errors.Error`.
        every: as in `flips`.
    """
    check(Strict(vector.plain()))
    expected = dict(unseen or {})
    noticed: tuple[type[Exception], ...] = (AssertionError, Error, *refusals)
    unnoticed = set()
    for path, changed in flips(vector, every=every):
        try:
            check(changed)
        except noticed:
            continue
        unnoticed.add(_INDEX.sub("[]", path))
    assert unnoticed == expected.keys(), (
        f"changes nobody noticed: {sorted(unnoticed)}, known: {sorted(expected)}"
    )
