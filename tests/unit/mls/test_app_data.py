"""AppDataUpdate and AppEphemeral in commits of members, hubs and joiners."""

from collections.abc import Sequence

import pytest

from sabir.mls.client import MlsClient
from sabir.mls.components import (
    APP_COMPONENTS,
    AppDataDictionary,
    CommitContext,
    ComponentRefused,
    component_of,
    dictionary_of,
    encode_components,
)
from sabir.mls.extensions import (
    APP_DATA_DICTIONARY,
    REQUIRED_CAPABILITIES,
    Extension,
    Extensions,
    RequiredCapabilities,
)
from sabir.mls.framing import NEW_MEMBER_COMMIT, Sender
from sabir.mls.group.external import join_by_commit
from sabir.mls.group.process import StagedCommit
from sabir.mls.proposals import (
    AppDataUpdate,
    AppEphemeral,
    GroupContextExtensions,
    Remove,
)
from sabir.mls.validation.rules import Rule
from sabir.testing.mls.rules import violates
from tests.unit.mls.group.world import Room, client

LOG = 0x0020


class Log:
    """A component whose data are all updates, with the leaf that sent each."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, Sender, tuple[Sender, ...]]] = []

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        if b"bad" in updates:
            raise ComponentRefused("no bad news")
        lines = [
            update + b"%d" % sender.index
            for update, sender in zip(updates, commit.proposers, strict=True)
        ]
        return (old or b"") + b"".join(lines)

    def ephemeral(self, data: bytes, commit: CommitContext) -> None:
        if data == b"bad":
            raise ComponentRefused("no bad news")
        self.seen.append((data, commit.committer, commit.proposers))


LISTED = Extension(
    APP_DATA_DICTIONARY,
    AppDataDictionary(((APP_COMPONENTS, encode_components((LOG,))),)).encode(),
)


def with_log(name: str, suite: int) -> MlsClient:
    return client(name, suite, components={LOG: Log()}, leaf_extensions=(LISTED,))


def room_with_log(extensions: Extensions = ()) -> Room:
    return Room.of("ann", "ben", "cat", extensions=extensions, make=with_log)


def log_of(room: Room) -> bytes | None:
    return component_of(room["ann"].group_context.extensions, LOG)


def test_updates_are_applied_in_order_with_those_who_sent_them() -> None:
    room = room_with_log()
    first = room["ben"].propose(room.env, AppDataUpdate(LOG, b"b"), as_public=True)
    room.hear(first.message, "ben")
    room.commit("ann", AppDataUpdate(LOG, b"a"), AppDataUpdate(LOG, b"c"))
    assert log_of(room) == b"b1a0c0"
    room.commit("cat", AppDataUpdate(LOG, b"d"))
    assert log_of(room) == b"b1a0c0d2"
    room.commit("cat", AppDataUpdate(LOG, None))
    assert log_of(room) is None
    extensions = room["ann"].group_context.extensions
    assert dictionary_of(extensions) == AppDataDictionary()


def test_the_dictionary_comes_last_and_no_path_is_needed() -> None:
    required = Extension(
        REQUIRED_CAPABILITIES, RequiredCapabilities(proposals=(8,)).encode()
    )
    room = room_with_log((required,))
    pending = room.commit("ann", AppDataUpdate(LOG, b"a"))
    assert [each.kind for each in room["ben"].group_context.extensions] == [3, 6]
    assert pending.effects.extensions_changed
    assert pending.effects.updated == ()


def test_other_extensions_change_in_the_same_commit() -> None:
    room = room_with_log()
    required = Extension(REQUIRED_CAPABILITIES, RequiredCapabilities().encode())
    room.commit("ann", AppDataUpdate(LOG, b"a"), GroupContextExtensions((required,)))
    assert [each.kind for each in room["ben"].group_context.extensions] == [3, 6]


def test_ephemeral_data_reach_the_component_and_stay_nowhere() -> None:
    room = room_with_log()
    before = room["ann"].group_context.extensions
    first = room["ben"].propose(room.env, AppEphemeral(LOG, b"1"), as_public=True)
    room.hear(first.message, "ben")
    pending = room.commit("ann", AppEphemeral(LOG, b"2"))
    assert [each.data for each in pending.effects.ephemeral] == [b"1", b"2"]
    component = room["cat"].public.services.components[LOG]
    assert isinstance(component, Log)
    ann, ben = Sender.member(0), Sender.member(1)
    assert component.seen == [(b"1", ann, (ben,)), (b"2", ann, (ann,))]
    assert room["ann"].group_context.extensions == before


def test_who_joins_by_a_commit_may_update_and_send() -> None:
    room = room_with_log()
    room.clients["dan"] = with_log("dan", 1)
    join = join_by_commit(
        room.env,
        room.clients["dan"],
        room["ann"].group_info(with_tree=True),
        member_of=(),
        proposals=[AppEphemeral(LOG, b"hi"), AppDataUpdate(LOG, b"d")],
    )
    staged = room["ann"].process(room.env, join.commit)
    assert isinstance(staged, StagedCommit)
    assert component_of(staged.effects.new_extensions, LOG) == b"d0"
    assert staged.effects.committer == NEW_MEMBER_COMMIT


def test_what_a_component_refuses_is_refused() -> None:
    room = room_with_log()
    for proposal in (AppDataUpdate(LOG, b"bad"), AppEphemeral(LOG, b"bad")):
        with violates(Rule.E06):
            room["ann"].commit(room.env, [proposal])


def test_unknown_components_are_refused() -> None:
    room = room_with_log()
    for proposal in (AppDataUpdate(9, b""), AppEphemeral(9, b"")):
        with violates(Rule.E02):
            room["ann"].commit(room.env, [proposal])
        with violates(Rule.E02):
            room["ann"].propose(room.env, proposal)


def test_what_is_not_there_is_not_removed() -> None:
    room = room_with_log()
    with violates(Rule.E03):
        room["ann"].commit(room.env, [AppDataUpdate(LOG, None)])


def test_required_components_are_supported_by_who_is_added() -> None:
    room = room_with_log((LISTED,))
    room.clients["dan"] = with_log("dan", 1)
    room.add("ann", "dan")
    room.clients["eve"] = client("eve")
    with violates(Rule.E13):
        room.add("ann", "eve")
    room.commit("ann", Remove(3))


def test_a_component_that_some_do_not_support_is_not_required() -> None:
    room = Room.of("ann", "ben")
    with violates(Rule.E13):
        room["ann"].commit(room.env, [GroupContextExtensions((LISTED,))])


@pytest.mark.parametrize("as_public", [True, False])
def test_a_hub_and_members_agree_on_the_data(as_public: bool) -> None:
    room = room_with_log()
    room["ann"].commit(room.env, [AppDataUpdate(LOG, b"a")], as_public=as_public)
    room.deliver("ann")
    room.restart("ben")
    assert log_of(room) == b"a0"
