"""What a deletion of one version of a message means, by its network's rules."""

import pytest

from sabir.agent.understanding import Facts, KnownEntry, understand
from sabir.content.meaning import Deleted
from sabir.content.model import MessageId
from sabir.networks.api import NativeId, Retracted

FIRST, EDIT = MessageId(b"f" * 32), MessageId(b"e" * 32)
ADA = "signal:ada"
FACTS = Facts(
    author=ADA,
    entries={"v2": KnownEntry(entry=EDIT, kind="edited", author=ADA, target=FIRST)},
)


@pytest.mark.parametrize("by_moderator", [False, True])
def test_a_message_that_any_version_names_is_deleted_as_a_whole(
    by_moderator: bool,
) -> None:
    action = Retracted(
        target=NativeId("v2"), any_version=True, by_moderator=by_moderator
    )
    assert understand(action, FACTS).meanings == (Deleted(target=FIRST),)


def test_taking_back_an_edit_is_not_taking_back_the_message() -> None:
    understood = understand(Retracted(target=NativeId("v2")), FACTS)
    assert understood.meanings == ()
    assert "edit" in understood.rejected
