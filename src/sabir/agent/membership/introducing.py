"""People of other networks, as participants of a room we link: who is to be listed.

A ghost is listed a moment after its person first does something in the chat, several
in one commit: what they say does not wait for it. Who is not listed yet after a restart
is listed when they do something again.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sabir.agent.membership.limits import GHOSTS_AT_ONCE_MAX, INTRODUCE_AFTER_MS
from sabir.agent.membership.vouching import vouched
from sabir.content.meaning import RoomEvent, RoomEventKind
from sabir.content.model import Content
from sabir.content.reading import read
from sabir.mimi.ghosts import read_ghost
from sabir.mimi.member.events import OperationSettled, Outcome
from sabir.mimi.member.intents import Intent, Invite, Invitee, RemoveGhosts
from sabir.mimi.policy.view import RoomView

_GOES = (RoomEventKind.LEFT, RoomEventKind.REMOVED)


@dataclass(slots=True)
class Introductions:
    """Of one room.

    Attributes:
        user: our URI.
    """

    user: str
    _coming: dict[str, None] = field(default_factory=dict)
    _going: dict[str, None] = field(default_factory=dict)
    _not_wanted: set[str] = field(default_factory=set)
    """Whom the room does not list; nobody asks again before a restart."""
    _due_ms: float = 0.0

    def heard(self, content: Content, view: RoomView, *, now_ms: float) -> None:
        """Note who does something in a chat of ours.

        Args:
            content: that goes into the room in their name.
            view: the room.
            now_ms: of the monotonic clock.
        """
        found = vouched(content, self.user)
        if found is None or not found.ghost or found.ghost in self._not_wanted:
            return
        meaning = read(content)
        if isinstance(meaning, RoomEvent) and meaning.kind in _GOES:
            noted, other = self._going, self._coming
            is_needless = not view.is_listed(found.ghost)
        else:
            noted, other = self._coming, self._going
            is_needless = view.is_listed(found.ghost)
        other.pop(found.ghost, None)
        if is_needless:
            return
        if not (self._coming or self._going):
            self._due_ms = now_ms + INTRODUCE_AFTER_MS
        noted[found.ghost] = None

    def wait_ms(self, *, now_ms: float) -> float | None:
        """Return how long until something is to be done; None: nothing is."""
        if not (self._coming or self._going):
            return None
        return self._due_ms - now_ms

    def intent(self, view: RoomView, *, now_ms: float) -> Intent | None:
        """Return what is to be done now; the next one is due a while later.

        Args:
            view: the room.
            now_ms: of the monotonic clock.
        """
        self._forget_done(view)
        self._due_ms = now_ms + INTRODUCE_AFTER_MS
        if self._going:
            return RemoveGhosts(tuple(self._going)[:GHOSTS_AT_ONCE_MAX])
        if not self._coming:
            return None
        role = view.lowest_role_to_give(self.user)
        if role is None:
            self.refused(Invite(tuple(map(Invitee, self._coming)), 0))
            return None
        some = tuple(self._coming)[:GHOSTS_AT_ONCE_MAX]
        return Invite(tuple(map(Invitee, some)), role)

    def settled(self, operation: OperationSettled) -> None:
        """Note what became of an operation; a race that is lost is run again."""
        match operation.outcome:
            case Outcome.ACCEPTED:
                self._take(operation.intent)
            case Outcome.REFUSED:
                self.refused(operation.intent)
            case Outcome.RACE_LOST:
                pass

    def refused(self, intent: Intent | None) -> None:
        """Note that the room does not want what was to be done."""
        self._not_wanted.update(self._take(intent))

    def forget(self, network: str) -> None:
        """List nobody of a network; empty: of any."""
        for ghost in [*self._coming]:
            if network in {"", _network(ghost)}:
                del self._coming[ghost]

    def _take(self, intent: Intent | None) -> Collection[str]:
        """Return the ghosts of an intent, and wait for them no more."""
        ghosts: Collection[str] = ()
        match intent:
            case Invite(invitees=invitees):
                ghosts = [each.user for each in invitees if read_ghost(each.user)]
            case RemoveGhosts(ghosts=users):
                ghosts = users
            case _:
                pass
        for ghost in ghosts:
            self._coming.pop(ghost, None)
            self._going.pop(ghost, None)
        return ghosts

    def _forget_done(self, view: RoomView) -> None:
        for ghost in [each for each in self._coming if view.is_listed(each)]:
            del self._coming[ghost]
        for ghost in [each for each in self._going if not _may_go(view, each)]:
            del self._going[ghost]


def _network(ghost: str) -> str:
    found = read_ghost(ghost)
    return "" if found is None else found.network


def _may_go(view: RoomView, ghost: str) -> bool:
    """Whether a ghost is in the list and not kept there by its ban."""
    return view.is_listed(ghost) and not view.is_banned(ghost)
