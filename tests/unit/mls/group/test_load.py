"""A store that is damaged, old or newer is refused; nothing else leaves."""

import pytest

from sabir.errors import Error
from sabir.mls.codepoints import WireFormat
from sabir.mls.errors import MlsMissing, MlsMisuse
from sabir.mls.group.group import MlsGroup
from sabir.mls.group.load import migrated
from sabir.mls.group.messages import sign
from sabir.mls.group.process import ApplicationMessage, OwnEcho
from sabir.mls.group.state import (
    FORMAT_VERSION,
    HEADER,
    KEYS,
    MAGIC,
    PAST_EPOCH,
    PENDING_COMMIT,
    PROPOSAL,
    SECRET_TREE,
    SENT,
    Rows,
    row_key,
)
from sabir.mls.proposals import ReInit, Remove
from sabir.testing.mls.snapshots import unchanged
from sabir.wire.tls import opaque, uint16, uint32, uint64
from tests.unit.mls.group.world import Room


@pytest.fixture(scope="module")
def room() -> Room:
    room = Room.of("ann", "ben", "cat")
    room.commit("ben")
    late = [room["ben"].encrypt(room.env, b"").message for _ in range(2)]
    room["ann"].process(room.env, late[1])
    room.hear(room["cat"].propose_update(room.env, as_public=True).message, "cat")
    room["ann"].commit(room.env, [Remove(2)], references=[])
    room.check()
    return room


def load(room: Room, rows: Rows) -> MlsGroup:
    return MlsGroup.load(room.clients["ann"], rows)


def rows_of(room: Room) -> Rows:
    return dict(room.stores["ann"])


def test_what_is_stored_is_loaded(room: Room) -> None:
    assert load(room, rows_of(room)).save() == room.stores["ann"]


def test_each_row_is_needed(room: Room) -> None:
    optional = {PENDING_COMMIT, PROPOSAL, PAST_EPOCH, SENT}
    for key in room.stores["ann"]:
        if key[0] in optional or (key[0] == SECRET_TREE and len(key) > 9):
            continue
        rows = rows_of(room)
        del rows[key]
        if key[0] == 11:
            load(room, rows)  # a resumption PSK fewer
            continue
        with pytest.raises(MlsMisuse):
            load(room, rows)


def test_rows_that_are_cut_or_longer_are_refused(room: Room) -> None:
    for key, value in room.stores["ann"].items():
        for damaged in (value[:-1], value + b"\x00", b""):
            with pytest.raises(Error) as wrong:
                load(room, rows_of(room) | {key: damaged})
            assert isinstance(wrong.value, MlsMisuse), key


def test_rows_of_no_known_section_are_refused(room: Room) -> None:
    for key in (row_key(15), row_key(255), b"", row_key(HEADER, b"x")):
        with pytest.raises(MlsMisuse):
            load(room, rows_of(room) | {key: b""})


def test_a_secret_tree_of_no_epoch_is_refused(room: Room) -> None:
    rows = rows_of(room)
    moved = {
        key[:1] + uint64(99) + key[9:]: value
        for key, value in rows.items()
        if key[0] == SECRET_TREE and key[1:9] == uint64(2)
    }
    with pytest.raises(MlsMisuse, match="no epoch"):
        load(room, rows | moved)


def test_other_headers_are_refused(room: Room) -> None:
    header = rows_of(room)[row_key(HEADER)]
    version = len(MAGIC)
    for damaged in (
        b"",
        b"SBRX" + header[4:],
        MAGIC + uint16(FORMAT_VERSION + 1) + header[version + 2 :],
        header.replace(b"\x04room", b"\x04moor"),
        header[:-2] + b"\x09" + header[-1:],
    ):
        with pytest.raises(MlsMisuse):
            load(room, rows_of(room) | {row_key(HEADER): damaged})


def test_a_commit_of_a_group_that_we_left_is_refused(room: Room) -> None:
    other = Room.of("ann", "ben")
    pending = rows_of(room)[row_key(PENDING_COMMIT)]
    other.commit("ben", Remove(0))
    with pytest.raises(MlsMisuse):
        MlsGroup.load(
            other.clients["ann"],
            other.stores["ann"] | {row_key(PENDING_COMMIT): pending},
        )


def test_a_re_init_that_is_none_is_refused() -> None:
    room = Room.of("ann")
    room.commit("ann", ReInit(b"n", 1))
    header = room.stores["ann"][row_key(HEADER)]
    raw, other = ReInit(b"n", 1).raw, Remove(0).raw
    damaged = header.replace(bytes((len(raw),)) + raw, bytes((len(other),)) + other)
    assert damaged != header
    with pytest.raises(MlsMisuse):
        load(room, room.stores["ann"] | {row_key(HEADER): damaged})


def test_older_formats_are_brought_up_step_by_step() -> None:
    def step(to: int) -> object:
        return lambda rows: {
            key: MAGIC + uint16(to) if key == row_key(HEADER) else value + b"%d" % to
            for key, value in rows.items()
        }

    old = {row_key(HEADER): MAGIC + uint16(98), row_key(KEYS): b"keys"}
    steps = {98: step(99), 99: step(FORMAT_VERSION)}
    new = migrated(old, steps)  # type: ignore[arg-type]  # lambdas
    assert new == {
        row_key(HEADER): MAGIC + uint16(FORMAT_VERSION),
        row_key(KEYS): b"keys99%d" % FORMAT_VERSION,
    }


def test_leaves_outside_of_a_past_tree_are_refused(room: Room) -> None:
    rows = rows_of(room)
    key = row_key(PAST_EPOCH, uint64(1))
    size = rows[key].find(uint64(room.env.time)) + 8
    small = rows[key][:size] + uint32(1) + rows[key][size + 4 :]
    assert small != rows[key]
    with pytest.raises(MlsMisuse, match="stored leaf"):
        load(room, rows | {key: small})
    large = rows[key][:size] + uint32(1 << 31) + rows[key][size + 4 :]
    with pytest.raises(MlsMisuse, match="leaves"):
        load(room, rows | {key: large})


def test_a_past_epoch_without_its_secret_tree_is_refused(room: Room) -> None:
    rows = {
        key: value
        for key, value in rows_of(room).items()
        if key[0] != SECRET_TREE or key[1:9] != uint64(1)
    }
    with pytest.raises(MlsMisuse, match="epoch 1"):
        load(room, rows)


def test_a_stored_proposal_that_is_another_content_is_refused(room: Room) -> None:
    rows = rows_of(room)
    epoch = room["ben"].state.epoch
    assert epoch is not None
    form = WireFormat.PUBLIC_MESSAGE
    said = sign(epoch, room["ben"].public.services, b"data", b"", form)
    (key,) = (key for key in rows if key[0] == PROPOSAL)
    with pytest.raises(MlsMisuse, match="another content"):
        load(room, rows | {key: uint32(0) + opaque(said.raw) + b"\x00"})


def test_digests_of_no_epoch_or_of_no_known_form_are_refused(room: Room) -> None:
    digests = bytes(32)
    for epoch, rest, value, text in (
        (99, bytes(5), digests, "no epoch"),
        (2, b"\x03" + bytes(4), digests, "C07"),
        (2, bytes(5), digests[1:], "C04"),
    ):
        key = row_key(SENT, uint64(epoch) + rest)
        with pytest.raises(MlsMisuse, match=text):
            load(room, rows_of(room) | {key: value})
    with pytest.raises(MlsMisuse, match="C03"):
        load(room, rows_of(room) | {row_key(SENT, bytes(7)): digests})


def test_what_was_sent_under_format_1_is_not_known_again() -> None:
    room = Room.of("ann", "ben")
    sent = room["ann"].encrypt(room.env, b"before").message
    room.check()
    header = room.stores["ann"][row_key(HEADER)]
    old = {key: value for key, value in room.stores["ann"].items() if key[0] != SENT}
    old[row_key(HEADER)] = MAGIC + uint16(1) + header[len(MAGIC) + 2 :]
    ann = MlsGroup.load(room.clients["ann"], old)
    with unchanged(ann), pytest.raises(MlsMissing, match="of ours"):
        ann.process(room.env, sent)
    later = ann.encrypt(room.env, b"after").message
    assert isinstance(ann.process(room.env, later), OwnEcho)
    again = MlsGroup.load(room.clients["ann"], ann.save())
    assert isinstance(again.process(room.env, later), OwnEcho)
    heard = room["ben"].process(room.env, later)
    assert isinstance(heard, ApplicationMessage)
