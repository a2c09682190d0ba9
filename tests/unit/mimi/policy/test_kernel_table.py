"""MC-036: five role sets, every effect of 6.4, allowed and denied.

What is expected comes from a second formulation: the packaged JSON as it stands, and
the rules as sets of permissions (`can`, `moves`) that are looked up by name. And what
never or always happens in a role set is written down by hand, so that a table which
allows nothing, or everything, fails.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import pytest

from sabir.mimi.components.base_policy import BaseRoomPolicy
from sabir.mimi.components.metadata import RoomMetadata
from sabir.mimi.policy.acts import (
    ComponentUpdate,
    Effect,
    Forbidden,
    LeafAdd,
    LeafRemove,
    LeafUpdate,
    ListAdd,
    ListRemove,
    MetadataChange,
    RoleChange,
)
from sabir.mimi.policy.kernel import Facts
from sabir.mimi.policy.view import RoomView
from sabir.mimi.templates import role_set
from tests.unit.mimi.policy.rooms import (
    HUB,
    client,
    is_allowed,
    joiner,
    member,
    user,
    view,
)

SETS: Final = (
    "cooperative",
    "strictly_administered",
    "moderated",
    "multi_organization",
    "sabir_dm",
)
ANN, BEN, EVE = user("ann"), user("ben"), user("eve")
OLD: Final = "1"


@dataclass(frozen=True)
class Sheet:
    """A role set as the data file has it: permissions as plain sets."""

    can: frozenset[tuple[int, str]]
    moves: frozenset[tuple[int, int, int]]
    roles: tuple[int, ...]
    fixed: bool

    @property
    def holders(self) -> tuple[int, ...]:
        """Return the roles of people who are in the room."""
        return tuple(role for role in self.roles if role > 1)


@cache
def sheet(name: str) -> Sheet:
    source = files("sabir.mimi") / "data" / "role_sets.json"
    roles = json.loads(source.read_text())["role_sets"][name]["roles"]
    return Sheet(
        frozenset(
            (role["index"], number) for role in roles for number in role["capabilities"]
        ),
        frozenset(
            (role["index"], origin, target)
            for role in roles
            for origin, targets in role["role_changes"]
            for target in targets
        ),
        tuple(role["index"] for role in roles),
        name == "sabir_dm",
    )


@dataclass(frozen=True)
class Try:
    """One question to the kernel, with the answer of the second formulation."""

    effect: str
    allowed: bool
    ask: Callable[[], bool]
    about: str


def room(name: str, listed: dict[str, int], *clients: str) -> RoomView:
    people = {user(each): role for each, role in listed.items()}
    policy = BaseRoomPolicy(fixed_membership=sheet(name).fixed)
    found = (client(*each.partition("/")[::2]) for each in clients)
    return view(role_set(name), people, found, policy=policy)


def tries(name: str) -> Iterator[Try]:
    for by in sheet(name).holders:
        yield from _about_the_list(name, by)
        yield from _about_clients(name, by)
        yield from _about_the_room(name, by)
    yield from _from_outside(name)


def _ask(
    before: RoomView, effect: Effect, *beside: Effect, **more: Any
) -> Callable[[], bool]:
    return lambda: is_allowed(before, member("ann"), effect, *beside, **more)


def _about_the_list(name: str, by: int) -> Iterator[Try]:
    s = sheet(name)

    def holds(*numbers: str) -> bool:
        return any((by, number) in s.can for number in numbers)

    alone = room(name, {"ann": by}, "ann/1")
    for role in s.roles[1:]:
        yield Try(
            "list add",
            holds("0x0000") and (by, 0, role) in s.moves,
            _ask(alone, ListAdd(BEN, role)),
            f"{by} adds as {role}",
        )
        yield Try(
            "own role",
            False,
            _ask(alone, RoleChange(ANN, by, role)),
            f"{by} becomes {role}",
        )
        here = room(name, {"ann": by, "ben": role}, "ann/1", "ben/1")
        gone = room(name, {"ann": by}, "ann/1")
        yield Try(
            "list remove",
            holds("0x0001") and (by, role, 0) in s.moves,
            _ask(here, ListRemove(BEN), after=gone),
            f"{by} removes {role}",
        )
        left = room(name, {"ann": by}, "ann/1", "ben/1")
        yield Try(
            "list remove, a client stays",
            False,
            _ask(here, ListRemove(BEN), after=left),
            f"{by} removes {role}",
        )
        for new in s.roles[1:]:
            listed = room(name, {"ann": by, "ben": role}, "ann/1")
            moves = (by, role, new) in s.moves
            if new == 1:
                expected = moves and holds("0x000a", "0x000f")
                effect = "ban"
            elif role == 1:
                expected = moves and holds("0x000b", "0x000f")
                effect = "unban"
            else:
                expected = moves and holds("0x000f")
                effect = "role change"
            yield Try(
                effect,
                expected,
                _ask(listed, RoleChange(BEN, role, new)),
                f"{by} moves {role} to {new}",
            )
        yield Try(
            "ban, a client stays",
            False,
            _ask(here, RoleChange(BEN, role, 1)),
            f"{by} bans {role}",
        )
    yield Try(
        "leave",
        holds("0x0006") and (by, by, 0) in s.moves,
        _ask(alone, ListRemove(ANN), after=room(name, {})),
        f"{by} leaves",
    )
    yield Try(
        "leave, a client stays", False, _ask(alone, ListRemove(ANN)), f"{by} leaves"
    )


def _about_clients(name: str, by: int) -> Iterator[Try]:
    s = sheet(name)

    def holds(number: str) -> bool:
        return (by, number) in s.can

    alone = room(name, {"ann": by}, "ann/1")
    yield Try(
        "own client added",
        holds("0x0002"),
        _ask(alone, LeafAdd(client("ann", "2"))),
        f"{by}",
    )
    yield Try(
        "own client removed",
        holds("0x0003"),
        _ask(alone, LeafRemove(client("ann", "2"))),
        f"{by}",
    )
    yield Try(
        "own client removed with leaving",
        True,
        _ask(alone, LeafRemove(client("ann", "2")), ListRemove(ANN)),
        f"{by}",
    )
    yield Try(
        "client of somebody unlisted added",
        False,
        _ask(alone, LeafAdd(client("eve"))),
        f"{by}",
    )
    yield Try(
        "client of somebody unlisted removed",
        True,
        _ask(alone, LeafRemove(client("eve"))),
        f"{by}",
    )
    yield Try("own leaf updated", True, _ask(alone, LeafUpdate(client("ann"))), f"{by}")
    yield Try(
        "other's leaf updated", False, _ask(alone, LeafUpdate(client("ben"))), f"{by}"
    )
    for role in s.holders:
        both = room(name, {"ann": by, "ben": role}, "ann/1", "ben/1")
        theirs = client("ben", "2")
        adds = holds("0x0000") and (by, 0, role) in s.moves
        yield Try(
            "client of a listed user added",
            adds or (s.fixed and holds("0x0002")),
            _ask(both, LeafAdd(theirs)),
            f"{by} for {role}",
        )
        yield Try(
            "client added with its user",
            True,
            _ask(alone, LeafAdd(theirs), ListAdd(BEN, role)),
            f"{by} for {role}",
        )
        yield Try(
            "kick",
            holds("0x000c"),
            _ask(both, LeafRemove(client("ben"))),
            f"{by} kicks {role}",
        )
        yield Try(
            "client removed with its user",
            True,
            _ask(both, LeafRemove(client("ben")), ListRemove(BEN)),
            f"{by} removes {role}",
        )
        yield Try(
            "client removed with a ban",
            True,
            _ask(both, LeafRemove(client("ben")), RoleChange(BEN, role, 1)),
            f"{by} bans {role}",
        )
    banned = room(name, {"ann": by, "ben": 1}, "ann/1", "ben/1")
    yield Try(
        "client of a banned user removed",
        True,
        _ask(banned, LeafRemove(client("ben"))),
        f"{by}",
    )
    yield Try(
        "client of a banned user added",
        False,
        _ask(banned, LeafAdd(client("ben", "2"))),
        f"{by}",
    )


METADATA: Final = {
    "name": "0x0300",
    "descriptions": "0x0301",
    "avatar": "0x0302",
    "subject": "0x0303",
    "mood": "0x0304",
}
COMPONENTS: Final[dict[int, str | None]] = {
    0x01: None,
    0x02: None,
    0x03: None,
    0x21: None,
    0x24: "0x0600",
    0x25: "0x0503",
    0x26: "0x0504",
    0x27: "0x0502",
    **dict.fromkeys(range(0x28, 0x31), "0x0505"),
    0x31: None,
    0xFB01: None,
}


def _about_the_room(name: str, by: int) -> Iterator[Try]:
    s = sheet(name)
    alone = room(name, {"ann": by}, "ann/1")
    new = RoomMetadata("mimi://hub.example/r/tea", "Coffee")
    for field, number in METADATA.items():
        yield Try(
            f"{field} changed",
            (by, number) in s.can,
            _ask(alone, MetadataChange(frozenset({field}), new)),
            f"{by}",
        )
    yield Try(
        "all metadata changed",
        all((by, number) in s.can for number in METADATA.values()),
        _ask(alone, MetadataChange(frozenset(METADATA), new)),
        f"{by}",
    )
    for component, needed in COMPONENTS.items():
        yield Try(
            f"component 0x{component:02X} updated",
            needed is not None and (by, needed) in s.can,
            _ask(alone, ComponentUpdate(component, b"")),
            f"{by}",
        )
    yield Try("anything else", False, _ask(alone, Forbidden("ReInit")), f"{by}")


def _from_outside(name: str) -> Iterator[Try]:
    s = sheet(name)
    empty = room(name, {})
    eve = joiner("eve")
    for role in s.roles[1:]:
        add = ListAdd(EVE, role)

        def asks(effect: Effect, facts: Facts, *beside: Effect) -> Callable[[], bool]:
            return lambda: is_allowed(empty, eve, effect, *beside, facts=facts)

        yield Try(
            "join without a code",
            (0, "0x0004") in s.can and (0, 0, role) in s.moves,
            asks(add, Facts()),
            f"as {role}",
        )
        yield Try(
            "join with a code",
            (0, "0x0009") in s.can,
            asks(add, Facts(join_role=role)),
            f"as {role}",
        )
        yield Try(
            "join with a code, seen by an agent",
            (0, "0x0009") in s.can,
            asks(add, Facts(hub_checked_code=True)),
            f"as {role}",
        )
        yield Try(
            "join with a code for another role",
            False,
            asks(add, Facts(join_role=role + 1)),
            f"as {role}",
        )
        yield Try(
            "first client of who joins",
            True,
            asks(LeafAdd(client("eve")), Facts(), add),
            f"as {role}",
        )
        yield Try(
            "somebody else listed by who joins",
            False,
            asks(ListAdd(BEN, role), Facts(join_role=role), add),
            f"as {role}",
        )
    for role in s.roles[1:]:
        listed = room(name, {"eve": role}, "eve/1")

        def asks_listed(listed: RoomView, effect: Effect) -> Callable[[], bool]:
            return lambda: is_allowed(listed, eve, effect, facts=Facts(join_role=2))

        yield Try(
            "join by who is listed: another client",
            (role, "0x0002") in s.can,
            asks_listed(listed, LeafAdd(client("eve"))),
            f"{role}",
        )
        yield Try(
            "join by who is listed: a client beside",
            False,
            asks_listed(listed, LeafAdd(client("eve", "2"))),
            f"{role}",
        )
        yield Try(
            "join by who is listed: another role",
            False,
            asks_listed(listed, ListAdd(EVE, role)),
            f"{role}",
        )


@pytest.mark.parametrize("name", SETS)
def test_mc_036_the_kernel_agrees_with_a_second_formulation(name: str) -> None:
    found = list(tries(name))
    assert len(found) > 50
    wrong = [
        f"{each.effect}: {each.about}, expected {each.allowed}"
        for each in found
        if each.ask() is not each.allowed
    ]
    assert not wrong


NEVER_ALLOWED: Final = {
    "own role",
    "list remove, a client stays",
    "ban, a client stays",
    "leave, a client stays",
    "client of somebody unlisted added",
    "client of a banned user added",
    "other's leaf updated",
    "anything else",
    "join without a code",
    "join with a code for another role",
    "somebody else listed by who joins",
    "join by who is listed: another role",
    "join by who is listed: a client beside",
    *(f"component 0x{number:02X} updated" for number in (1, 2, 3, 0x21, 0x31, 0xFB01)),
    *(f"component 0x{number:02X} updated" for number in range(0x28, 0x31)),
}
"""In no role set: nobody holds canOpenJoin or 0x0505, the rest nobody can hold."""

ALWAYS_ALLOWED: Final = {
    "own client removed with leaving",
    "client of somebody unlisted removed",
    "own leaf updated",
    "client added with its user",
    "client removed with its user",
    "client removed with a ban",
    "client of a banned user removed",
    "first client of who joins",
}
"""In all role sets: the act beside it is judged by itself, or anybody may clean up."""

DEPENDS: Final[dict[str, set[str]]] = {
    "cooperative": {
        *("list add", "list remove", "ban", "unban", "role change", "leave"),
        *("own client added", "own client removed", "kick"),
        "client of a listed user added",
        *(f"{field} changed" for field in (*METADATA, "all metadata")),
        *(f"component 0x{number:02X} updated" for number in (0x24, 0x25, 0x26, 0x27)),
        "join by who is listed: another client",
    },
    "sabir_dm": set(),
}
"""Effects that some roles of a set have and others have not, written by hand."""
DEPENDS["strictly_administered"] = DEPENDS["cooperative"]
DEPENDS["moderated"] = DEPENDS["cooperative"]
DEPENDS["multi_organization"] = DEPENDS["cooperative"]
DM_ALLOWS: Final = {
    *("own client added", "own client removed"),
    "client of a listed user added",
    *("name changed", "avatar changed", "subject changed", "mood changed"),
}
CODES: Final = {"join with a code", "join with a code, seen by an agent"}


@pytest.mark.parametrize("name", SETS)
def test_mc_036_each_effect_is_allowed_to_some_and_denied_to_others(name: str) -> None:
    answers: dict[str, set[bool]] = {}
    for each in tries(name):
        answers.setdefault(each.effect, set()).add(each.ask())
    either = {effect for effect, seen in answers.items() if len(seen) == 2}
    allowed = {effect for effect, seen in answers.items() if seen == {True}}
    denied = {effect for effect, seen in answers.items() if seen == {False}}
    by_code = name in {"strictly_administered", "moderated"}
    assert either == DEPENDS[name] | (
        {"join by who is listed: another client"} if name == "sabir_dm" else set()
    )
    assert allowed == ALWAYS_ALLOWED | (CODES if by_code else set()) | (
        DM_ALLOWS if name == "sabir_dm" else set()
    )
    assert denied == answers.keys() - either - allowed
    assert denied >= NEVER_ALLOWED


@pytest.mark.parametrize(
    ("name", "by", "effect", "allowed"),
    [
        ("cooperative", 2, ListAdd(BEN, 2), True),
        ("cooperative", 2, ListAdd(BEN, 3), False),
        ("cooperative", 3, ListAdd(BEN, 4), False),
        ("cooperative", 4, ListAdd(BEN, 4), True),
        ("cooperative", 5, ListAdd(BEN, 1), False),
        ("cooperative", 5, RoleChange(BEN, 4, 1), True),
        ("cooperative", 5, RoleChange(BEN, 1, 2), False),
        ("cooperative", 5, ListRemove(BEN), True),
        ("strictly_administered", 2, ListAdd(BEN, 2), False),
        ("strictly_administered", 3, RoleChange(BEN, 2, 3), True),
        ("moderated", 5, RoleChange(BEN, 3, 4), True),
        ("moderated", 4, RoleChange(BEN, 3, 4), False),
        ("moderated", 5, RoleChange(BEN, 6, 5), False),
        ("multi_organization", 5, ListAdd(BEN, 2), True),
        ("multi_organization", 5, ListAdd(BEN, 3), False),
        ("multi_organization", 6, RoleChange(BEN, 3, 6), True),
        ("multi_organization", 6, RoleChange(BEN, 1, 3), False),
        ("multi_organization", 8, RoleChange(BEN, 1, 3), True),
        ("sabir_dm", 2, ListAdd(BEN, 2), False),
        ("sabir_dm", 2, ListRemove(BEN), False),
    ],
)
def test_mc_036_what_the_draft_says_in_words(
    name: str, by: int, effect: Effect, allowed: bool
) -> None:
    target = effect.old if isinstance(effect, RoleChange) else 1
    listed = {"ann": by} | ({} if isinstance(effect, ListAdd) else {"ben": target})
    assert is_allowed(room(name, listed, "ann/1"), member("ann"), effect) is allowed


@pytest.mark.parametrize("name", SETS)
def test_mc_055_the_hub_only_cleans_up(name: str) -> None:
    role = sheet(name).holders[0]
    own = user("deleted", "hub.example")
    mine = client("deleted", domain="hub.example")
    before = view(
        role_set(name),
        {ANN: role, BEN: 1, own: role},
        [client("ann"), client("ben"), client("eve"), mine],
    )
    after = view(role_set(name), {ANN: role, BEN: 1}, [client("ann")])
    allowed: list[Effect] = [
        LeafRemove(client("ben")),
        LeafRemove(client("eve")),
        LeafRemove(mine),
        ListRemove(own),
    ]
    denied: list[Effect] = [
        LeafRemove(client("ann")),
        LeafAdd(client("eve", "2")),
        LeafAdd(client("ann", "2")),
        LeafUpdate(mine),
        ListRemove(ANN),
        ListRemove(BEN),
        ListAdd(EVE, role),
        RoleChange(ANN, role, 1),
        MetadataChange(frozenset({"name"}), RoomMetadata("mimi://hub.example/r/x")),
        ComponentUpdate(0x2C, b""),
        Forbidden("ReInit"),
    ]
    for effect in allowed:
        assert is_allowed(before, HUB, effect, after=after)
    for effect in denied:
        assert not is_allowed(before, HUB, effect, after=after)
    stays = view(role_set(name), {ANN: role, BEN: 1}, [client("ann"), mine])
    assert not is_allowed(before, HUB, ListRemove(own), after=stays)


def test_mc_055_the_hub_issues_again_what_was_accepted_but_never_an_add() -> None:
    before = room("cooperative", {"ann": 2, "ben": 3}, "ann/1", "ann/2", "ben/1")
    again: list[Effect] = [
        LeafRemove(client("ann", "2")),
        ListRemove(ANN),
        RoleChange(ANN, 2, 3),
    ]
    facts = Facts(reissues=frozenset(again))
    for effect in again:
        assert is_allowed(before, HUB, effect, facts=facts)
        assert not is_allowed(before, HUB, effect)
    adds = LeafAdd(client("ann", "3"))
    assert not is_allowed(before, HUB, adds, facts=Facts(reissues=frozenset({adds})))
