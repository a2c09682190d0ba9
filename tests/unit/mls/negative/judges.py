"""The harness: a message is refused by a rule, by members and hub, without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from sabir.mls.errors import MlsMissing, MlsMisuse, MlsUnsupported
from sabir.mls.group.group import stage_external_join, stage_welcome
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import note_broken, violates
from sabir.testing.mls.snapshots import unchanged
from sabir.testing.mls.world import World

SUITES_TRIED: Final = (1, 2, 4)
"""Each of the three kinds of curves and hashes."""

VICTIMS: Final = ("bob", "erin")
"""Members who judge: one near the forger in the tree, one far away."""


def refuse(
    world: World,
    message: bytes,
    rule: Rule,
    *,
    members: bool = True,
    hub: bool = True,
) -> None:
    """Check that a message is refused by this rule and leaves no trace.

    Args:
        world: whose members and hub judge.
        message: an MLSMessage.
        rule: that it breaks, and no other.
        members: they can tell.
        hub: it can tell, too; if not, it is not asked.
    """
    for name in VICTIMS if members else ():
        group = world.groups[name]
        with unchanged(group, world.person(name).psks), violates(rule):
            group.process(world.env, message)
    if hub:
        with unchanged(world.hub), violates(rule):
            world.hub.process(world.env, message)


def refuse_octets(world: World, message: bytes, rule: Rule) -> None:
    """Check that whoever is given some octets refuses them, whatever they may be.

    A member and a hub, somebody who was invited, and somebody who wants to join.
    """
    zoe = world.person("zoe")
    belongings = zoe.belongings()
    _, secrets, other = belongings
    known = [other.group_id]
    refuse(world, message, rule)
    with unchanged(*belongings), violates(rule):
        stage_welcome(zoe.client, message, [secrets], member_of=known)
    with unchanged(*belongings), violates(rule):
        stage_external_join(world.env, zoe.client, message, member_of=known)


def hub_believes(world: World, message: bytes) -> None:
    """Check that a hub cannot tell, and that it changes nothing before a merge."""
    world.fork_hub().process(world.env, message)


@contextmanager
def lacking(what: str, *watched: object) -> Iterator[None]:
    """Expect `MlsMissing` of this, without a trace."""
    with unchanged(*watched), pytest.raises(MlsMissing, match=what):
        yield


@contextmanager
def misused(text: str, *watched: object) -> Iterator[None]:
    """Expect `MlsMisuse` that says this, e.g. a rule's number, without a trace."""
    with unchanged(*watched):
        with pytest.raises(MlsMisuse, match=text):
            yield
        if text in Rule.__members__:
            note_broken(Rule[text])


@contextmanager
def unsupported(what: str, number: int, *watched: object) -> Iterator[None]:
    """Expect `MlsUnsupported` of this number, without a trace."""
    with unchanged(*watched):
        with pytest.raises(MlsUnsupported) as found:
            yield
        assert (found.value.what, found.value.number) == (what, number)
        note_broken(Rule.C09 if what == "proposal type" else Rule.C08)
