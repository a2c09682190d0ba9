"""What an object holds, as octets to compare, and what can be reached from it.

For tests that a refusal leaves no trace, and that a consumed secret is gone.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.client import KeyPackageSecrets, MlsClient
from sabir.mls.group.epoch import GroupState
from sabir.mls.group.group import MlsGroup
from sabir.mls.public_group import PublicGroup
from sabir.mls.secret_tree import SecretTree
from sabir.mls.services import Services
from sabir.mls.struct import Struct
from sabir.mls.tags import Tag
from sabir.mls.tree_hashes import TreeHashes

_SHARED: Final = (MlsClient, Services, CipherSuite)
"""Not a group's own: never stored with it."""

_CACHES: Final = (TreeHashes,)
"""Filled when somebody asks; what they hold follows from the rest."""

_CACHED_FIELDS: Final = frozenset({"_blank"})
"""Like `_CACHES`, by name."""


def snapshot(value: object) -> bytes:
    """Write all that an object holds, in the same order each time.

    Of a group that is its stored state, too.
    """
    stored = value.save() if isinstance(value, MlsGroup) else {}
    return "\n".join((*_lines(value, ""), *_lines(stored, "stored"))).encode()


def _lines(value: object, path: str) -> Iterator[str]:
    if isinstance(value, _SHARED + _CACHES):
        return
    if value is None or isinstance(value, bytes | str | int | Enum):
        yield f"{path}={value!r}"
    elif isinstance(value, Secret):
        yield f"{path}={value.reveal()!r}"
    elif isinstance(value, Tag):
        yield f"{path}={value.octets!r}"
    elif isinstance(value, Struct):
        yield f"{path}={value.raw!r}"
    elif isinstance(value, dict):
        yield f"{path} has {len(value)}"
        for key, item in value.items():
            yield from _lines(item, f"{path}[{key!r}]")
    elif isinstance(value, set | frozenset):
        yield f"{path}={sorted(map(repr, value))}"
    elif isinstance(value, list | tuple):
        yield f"{path} has {len(value)}"
        for index, item in enumerate(value):
            yield from _lines(item, f"{path}[{index}]")
    else:
        names = list(_fields(value))
        assert names, f"cannot look into {type(value)} at {path}"
        for name in names:
            if name not in _CACHED_FIELDS:
                yield from _lines(getattr(value, name), f"{path}.{name}")


def _fields(value: object) -> Iterator[str]:
    for each in type(value).__mro__:
        yield from getattr(each, "__slots__", ())
    yield from getattr(value, "__dict__", {})


_STORED: Final = (MlsGroup, GroupState, PublicGroup, SecretTree, KeyPackageSecrets)
"""What somebody keeps between two messages."""

_watched: Final[list[object]] = []
"""What the `unchanged` around this moment hold fast, if it is stored."""


def is_watched() -> bool:
    """Tell whether stored state is under `unchanged` at this moment."""
    return bool(_watched)


@contextmanager
def unchanged(*values: object) -> Iterator[None]:
    """Expect that what happens leaves these as they are, octet for octet."""
    before = [snapshot(value) for value in values]
    outside = len(_watched)
    _watched.extend(value for value in values if isinstance(value, _STORED))
    try:
        yield
    finally:
        del _watched[outside:]
    for value, old in zip(values, before, strict=True):
        assert snapshot(value) == old, f"{value} has changed"


# ---- what can be reached

_OUTSIDE: Final = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    *_SHARED,
)


def reachable(*roots: object) -> Iterator[object]:
    """Yield everything that the interpreter reaches from some objects.

    It asks the garbage collector, so that no field, closure or cache can be forgotten
    here. Not gone into are classes, modules, and what is shared between groups.
    """
    seen: set[int] = set()
    waiting: list[object] = list(roots)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            waiting += value.__closure__ or ()
            continue
        if isinstance(value, _OUTSIDE):
            continue
        yield value
        waiting += gc.get_referents(value)


def octets_in(*roots: object) -> frozenset[bytes]:
    """Return all strings of octets that can be reached from some objects."""
    return frozenset(
        bytes(value)
        for value in reachable(*roots)
        if isinstance(value, bytes | bytearray | memoryview)
    )


def holds(secret: bytes, everything: Iterable[bytes]) -> bool:
    """Tell whether any of these strings has the secret in it."""
    return any(secret in octets for octets in everything)
