"""Steps of a group's life under bad conditions, for `sabir.testing.mls.model`.

Numbers choose among what is possible at that moment.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """A member makes a commit."""

    who: int
    adds: int = 0
    removes: tuple[int, ...] = ()
    psk: bool = False
    path: bool = False
    tree_inside: bool = True


@dataclass(frozen=True, slots=True)
class Comeback:
    """Somebody makes an external commit: a member by number, or somebody new."""

    who: int | None


@dataclass(frozen=True, slots=True)
class Race:
    """Some commit at once; the hub takes the first that comes in time.

    Attributes:
        runners: who tries.
        order: in which they arrive.
        silent: the answers are lost.
        slow: the Welcome comes later.
        crossed: commits that came too late reach some members before the first one.
    """

    runners: tuple[Attempt | Comeback, ...]
    order: int = 0
    silent: bool = False
    slow: bool = False
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class Propose:
    """A member proposes something."""

    who: int
    what: int
    whom: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Some members get handshakes, in whatever order and however often."""

    who: int
    count: int
    dice: int
    spread: int = 1


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Members get all that they lack, in order: one, or nearly all."""

    who: int | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """A member sends letters."""

    who: int
    count: int


@dataclass(frozen=True, slots=True)
class Read:
    """Letters reach people, whoever they are, in some order, some of them twice."""

    dice: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Restart:
    """A member's process dies and comes back from its store."""

    who: int


@dataclass(frozen=True, slots=True)
class Enter:
    """A Welcome arrives late."""

    which: int


Step = Race | Propose | Deliver | CatchUp | Say | Read | Wait | Restart | Enter


@dataclass(frozen=True, slots=True)
class Life:
    """A seed, how the group begins, and what happens then."""

    seed: int
    first: int
    steps: tuple[Step, ...]
    private: bool = False
    """Whether members' handshakes are PrivateMessages."""
    suite: int = 1
