"""What a member refuses to do."""

from sabir.errors import LocalError, PolicyRefused


class RoomMisuse(LocalError):
    """The calling code used a room in a way its state does not allow."""


class CommitFirst(LocalError):
    """Proposals of others wait: commit them, then send (D-54)."""

    def __init__(self) -> None:
        super().__init__("proposals wait; perform CommitPending() before sending")


class RoomFrozen(PolicyRefused):
    """Somebody is in the room whom nobody let in; nothing is sent to it (D-48)."""

    def __init__(self, clients: int) -> None:
        super().__init__(
            f"{clients} clients are in the room that should not be; look who they are,"
            " remove them or leave, or acknowledge them"
        )
