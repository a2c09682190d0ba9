"""A new device is given what was said before it came, if the owner approves."""

import json
from dataclasses import replace

import msgspec
import pytest

from sabir.agent.membership import history
from sabir.agent.membership.history import Histories
from sabir.agent.membership.history_file import read_history, write_history
from sabir.agent.membership.limits import HISTORY_ASK_MS, HISTORY_ASKS_MAX
from sabir.clock import Instant
from sabir.content import codec
from sabir.content.meaning import Said
from sabir.content.plain import to_plain
from sabir.content.reading import read
from sabir.errors import PeerMisbehaved, PolicyRefused
from sabir.mimi.agent_api.device_messages import (
    DeviceMessage,
    HistoryAsk,
    HistoryGift,
    sign_message,
)
from sabir.storage.membership import HistoryAskRecord
from sabir.storage.records import EntryRecord, RoomId
from tests.unit.agent.membership.fake import eventually
from tests.unit.agent.membership.resident import Resident


async def all_texts(who: Resident, room: RoomId) -> list[str]:
    entries = await who.storage.after(room, -10_000, count_max=1_000)
    said = [read(codec.decode(each.content)) for each in entries]
    return [
        to_plain(each.text)
        for each in said
        if isinstance(each, Said) and each.text is not None
    ]


async def notices(who: Resident) -> list[str]:
    found = await who.storage.notices(count_max=1_000)
    return [f"{each.kind}: {each.detail}" for each in found]


class Home:
    """Ben with a laptop and a new phone, in a room with Ann since before the phone."""

    def __init__(self, people: dict[str, Resident]) -> None:
        self.ann, self.ben, self.phone = people["ann"], people["ben"], people["phone"]

    async def furnish(self) -> None:
        for each in (self.ann, self.ben):
            await each.move_in()
        await self.ben.desk.consent(self.ann.user)
        self.room = await self.ann.desk.create("Tea")
        await self.ann.desk.invite(self.room, self.ben.user)
        await self.ben.reaches(self.room, "active")
        for number in range(3):
            await self.ann.say(self.room, f"before {number}")
        await self.ben.say(self.room, "mine")
        await self.ben.has(self.room, "before 2", "mine")
        await self.phone.move_in()
        await self.phone.reaches(self.room, "active")
        await self.ann.say(self.room, "since then")
        await self.phone.has(self.room, "since then")
        self.asking: Histories = self.phone.desk.histories
        self.giving: Histories = self.ben.desk.histories
        self.phone_uri = self.phone.desk.membership.device
        self.laptop_uri = self.ben.desk.membership.device

    async def asks(self) -> None:
        assert await self.asking.ask() == 1

        async def arrived() -> bool:
            return any(not each.ours for each in await self.giving.asked())

        await eventually(arrived)


@pytest.fixture
async def home(people: dict[str, Resident]) -> Home:
    made = Home(people)
    await made.furnish()
    return made


async def test_history_comes_in_order_once_the_owner_approves(home: Home) -> None:
    await home.asks()
    (shown,) = await home.giving.asked()
    assert (shown.device, shown.rooms) == (home.phone_uri, 1)
    assert shown.fingerprint == home.asking.fingerprint
    assert "before 0" not in await all_texts(home.phone, home.room)
    given = await home.giving.give(home.phone_uri)
    assert given.rooms == 1

    async def there() -> bool:
        return "before 0" in await all_texts(home.phone, home.room)

    await eventually(there)
    expected = await home.ben.texts(home.room)
    assert await all_texts(home.phone, home.room) == expected
    assert expected == ["before 0", "before 1", "before 2", "mine", "since then"]
    assert await home.giving.asked() == []
    early = await home.phone.storage.after(home.room, -10_000, count_max=1_000)
    origins = await home.phone.storage.provenance(each.entry for each in early)
    said = [each for each in early if each.kind == "said"]
    assert {origins[each.entry].verdict for each in said} == {"accountable"}
    entry = next(each for each in said if each.author == home.ann.user)
    await home.phone.desk.report(home.room, entry, note="it is rude", anonymous=False)


async def test_history_twice_changes_nothing(home: Home) -> None:
    for _ in range(2):
        await home.asks()
        await home.giving.give(home.phone_uri)

        async def told() -> bool:
            return any(
                each.startswith("history:") for each in await notices(home.phone)
            )

        await eventually(told)
    assert await all_texts(home.phone, home.room) == await home.ben.texts(home.room)


async def test_nothing_is_given_unasked(home: Home) -> None:
    with pytest.raises(PolicyRefused, match="does not ask"):
        await home.giving.give(home.phone_uri)


async def test_who_has_no_other_device_cannot_ask(home: Home) -> None:
    with pytest.raises(PolicyRefused, match="no other device"):
        await home.ann.desk.histories.ask()


async def test_a_question_is_forgotten_after_a_week(home: Home) -> None:
    await home.asks()
    (ask,) = await home.ben.storage.history_asks()
    old = replace(ask, asked_at=Instant(ask.asked_at - HISTORY_ASK_MS - 1))
    await home.ben.storage.drop_history_ask(ask.id)
    await home.ben.storage.add_history_ask(old)
    assert await home.giving.asked() == []
    assert await home.ben.storage.history_asks() == []


async def test_a_device_that_is_in_no_room_gets_nothing(home: Home) -> None:
    """A provider can invent a device; it cannot put it into a room unseen."""
    stranger = home.phone_uri + "x"
    message = DeviceMessage(
        sender=stranger,
        recipient=home.laptop_uri,
        at=home.ben.clock.now(),
        ask_id=bytes(16),
        said=HistoryAsk(public_key=bytes(32)),
    )
    await home.giving.take(signed(home, message))
    (shown,) = await home.giving.asked()
    assert (shown.rooms, shown.fingerprint) == (0, "")
    with pytest.raises(PolicyRefused, match="in no room"):
        await home.giving.give(stranger)


def signed(home: Home, message: DeviceMessage) -> bytes:
    """Sign with the key of the phone."""
    identity = home.asking._around.client.identity(home.asking._suite)
    private = identity.private.reveal()
    return sign_message(home.asking._suite, private, message).encode()


async def test_a_question_that_the_provider_altered_gets_nothing(home: Home) -> None:
    await home.asks()
    (ask,) = await home.ben.storage.history_asks()
    other = bytearray(ask.signed)
    other[-1] ^= 1
    await home.giving.take(bytes(other))
    await home.ben.storage.drop_history_ask(ask.id)
    await home.giving.take(bytes(other))
    with pytest.raises(PolicyRefused, match="in no room"):
        await home.giving.give(home.phone_uri)


async def test_a_question_with_a_key_that_is_none_is_refused(home: Home) -> None:
    message = DeviceMessage(
        sender=home.phone_uri,
        recipient=home.laptop_uri,
        at=home.ben.clock.now(),
        ask_id=bytes(16),
        said=HistoryAsk(public_key=b"short"),
    )
    await home.giving.take(signed(home, message))
    with pytest.raises(PolicyRefused, match="a key that is none"):
        await home.giving.give(home.phone_uri)


async def test_too_many_questions_are_refused(home: Home) -> None:
    for number in range(HISTORY_ASKS_MAX):
        await home.ben.storage.add_history_ask(
            HistoryAskRecord(
                id=bytes([number]) * 16,
                device=f"mimi://b.example/d/ben/{number}",
                asked_at=home.ben.clock.now(),
            )
        )
    message = DeviceMessage(
        sender=home.phone_uri,
        recipient=home.laptop_uri,
        at=home.ben.clock.now(),
        ask_id=b"a" * 16,
        said=HistoryAsk(public_key=bytes(32)),
    )
    await home.giving.take(signed(home, message))
    assert any("too many devices" in each for each in await notices(home.ben))


@pytest.mark.parametrize("fault", ["unasked", "stranger", "garbled", "to another"])
async def test_history_of_somebody_else_is_not_taken(home: Home, fault: str) -> None:
    sender, recipient = home.laptop_uri, home.phone_uri
    if fault == "stranger":
        sender = home.ann.desk.membership.device
    if fault == "to another":
        recipient = home.ann.desk.membership.device
    gift = DeviceMessage(
        sender=sender,
        recipient=recipient,
        at=home.ben.clock.now(),
        ask_id=bytes(16),
        said=HistoryGift(room=home.room, enc=bytes(32), ciphertext=bytes(64)),
    )
    around = home.ben.desk.histories._around
    private = around.client.identity(home.giving._suite).private.reveal()
    octets = sign_message(home.giving._suite, private, gift).encode()
    if fault == "garbled":
        octets = octets[:-3]
    await home.asking.take(octets)
    told = [each for each in await notices(home.phone) if "refused" in each]
    assert len(told) == 1
    assert fault == "garbled" or "MIMI-395" in told[0]
    assert "before 0" not in await all_texts(home.phone, home.room)


async def test_a_gift_that_somebody_else_signed_is_not_taken(home: Home) -> None:
    gift = DeviceMessage(
        sender=home.laptop_uri,
        recipient=home.phone_uri,
        at=home.ben.clock.now(),
        ask_id=bytes(16),
        said=HistoryGift(room=home.room, enc=bytes(32), ciphertext=bytes(64)),
    )
    await home.asking.take(signed(home, gift))  # with the phone's own key
    assert any("did not sign" in each for each in await notices(home.phone))


async def test_a_gift_that_does_not_open_is_not_taken(home: Home) -> None:
    await home.asks()
    (ask,) = await home.phone.storage.history_asks()
    gift = DeviceMessage(
        sender=home.laptop_uri,
        recipient=home.phone_uri,
        at=home.ben.clock.now(),
        ask_id=ask.id,
        said=HistoryGift(room=home.room, enc=bytes(31) + b"\x09", ciphertext=bytes(64)),
    )
    private = home.giving._around.client.identity(home.giving._suite).private.reveal()
    await home.asking.take(sign_message(home.giving._suite, private, gift).encode())
    assert any("does not open" in each for each in await notices(home.phone))


# ---- the file


async def written(home: Home) -> tuple[list[EntryRecord], bytes]:
    entries = list(await home.ben.storage.after(home.room, 0, count_max=100))
    origins = await home.ben.storage.provenance(each.entry for each in entries)
    return entries, write_history(home.room, entries, origins)


async def test_the_file_says_what_the_timeline_has(home: Home) -> None:
    entries, octets = await written(home)
    read_back = read_history(octets, home.room)
    assert [each.new.entry for each in read_back] == [each.entry for each in entries]


async def test_a_file_leaves_out_what_is_not_what_it_says(home: Home) -> None:
    entries, octets = await written(home)
    raw = msgspec.msgpack.decode(octets)
    raw[2][0][0] = bytes(32)
    raw[2][1][4] = b"no content"
    found = read_history(msgspec.msgpack.encode(raw), home.room)
    assert len(found) == len(entries) - 2


async def test_a_long_history_keeps_its_newest_part(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.agent.membership.history_file.FILE_OCTETS_MAX", 5_000)
    entries, octets = await written(home)
    found = read_history(octets, home.room)
    assert 0 < len(found) < len(entries)
    assert found[-1].new.entry == entries[-1].entry


@pytest.mark.parametrize(
    "octets",
    [b"", b"\xc1", json.dumps([1]).encode(), msgspec.msgpack.encode([2, "", []])],
)
def test_what_is_no_history_is_refused(octets: bytes) -> None:
    with pytest.raises(PeerMisbehaved, match="MIMI-394"):
        read_history(octets, RoomId("mimi://a.example/r/tea"))


def test_the_type_of_the_file_is_our_own() -> None:
    assert history.FILE_TYPE.startswith("application/vnd.")
