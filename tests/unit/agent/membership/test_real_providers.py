"""Agents at real providers: TLS, tokens, streams, and federation between."""

from pathlib import Path

import pytest

from sabir.cli.system import system_rng
from sabir.errors import CredentialsRefused, PolicyRefused
from sabir.mimi.template_names import TemplateName
from tests.unit.agent.membership.fake import eventually
from tests.unit.agent.membership.resident import Resident


async def test_two_agents_of_two_providers_live_through_a_room(
    people: dict[str, Resident],
) -> None:
    ann, ben = people["ann"], people["ben"]
    await ann.move_in()
    await ben.move_in()
    room = await ann.desk.create("Tea")
    assert (await ann.desk.invite(room, ben.user)).outcome == "asked"

    async def asked() -> bool:
        return bool((await ben.desk.consents()).requests)

    await eventually(asked)
    await ben.desk.consent(ann.user, room=room)
    await ben.reaches(room, "active")
    await ann.say(room, "hello ben")
    await ben.has(room, "hello ben")
    await ben.say(room, "hello ann")
    await ann.has(room, "hello ann")
    assert await ann.texts(room) == await ben.texts(room)
    await ann.desk.set_role(room, ben.user, 4)

    async def admin() -> bool:
        shown = await ben.desk.show(room)
        return any(
            each.user == ben.user and each.role == 4 for each in shown.participants
        )

    await eventually(admin)
    await ann.desk.kick(room, ben.user)
    await ben.reaches(room, "left")
    await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await ben.say(room, "back again")
    await ann.has(room, "back again")
    await ben.desk.leave(room)
    await ben.reaches(room, "left")

    async def alone() -> bool:
        return len((await ann.desk.show(room)).participants) == 1

    await eventually(alone)


async def test_agents_that_restart_lose_nothing(people: dict[str, Resident]) -> None:
    ann, ben, cleo = people["ann"], people["ben"], people["cleo"]
    for each in (ann, ben, cleo):
        await each.move_in()
    room = await ann.desk.create("Tea")
    for each in (ben, cleo):
        await each.desk.consent(ann.user)
        await ann.desk.invite(room, each.user)
        await each.reaches(room, "active")
    await ben.stop()
    await ann.say(room, "while ben was away")
    await cleo.say(room, "me too")
    await ann.desk.set_role(room, cleo.user, 3)
    await ben.come_back()
    await ben.has(room, "while ben was away", "me too")
    await ann.restart()
    await ben.say(room, "still here")
    for each in (ann, ben, cleo):
        await each.has(room, "still here")
    assert await ann.texts(room) == await ben.texts(room) == await cleo.texts(room)


async def test_a_second_device_comes_in_by_itself_and_goes_when_it_is_lost(
    people: dict[str, Resident],
) -> None:
    ann, ben, phone = people["ann"], people["ben"], people["phone"]
    await ann.move_in()
    await ben.move_in()
    await ben.desk.consent(ann.user)
    room = await ann.desk.create("Tea")
    await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    await phone.move_in()
    await phone.reaches(room, "active")
    await ann.say(room, "to both")
    await ben.has(room, "to both")
    await phone.has(room, "to both")
    await phone.say(room, "from the phone")
    await ann.has(room, "from the phone")
    await ben.has(room, "from the phone")
    lost = phone.desk.membership.device
    await ben.desk.remove_device(lost)

    async def gone() -> bool:
        shown = await ann.desk.show(room)
        return lost not in {one for each in shown.participants for one in each.clients}

    await eventually(gone)
    await ann.say(room, "without the phone")
    await ben.has(room, "without the phone")
    assert "without the phone" not in await phone.texts(room)


async def test_a_link_lets_in_somebody_of_another_provider(
    people: dict[str, Resident],
) -> None:
    ann, cleo = people["ann"], people["cleo"]
    await ann.move_in()
    await cleo.move_in()
    room = await ann.desk.create("Tea", TemplateName.MODERATED)
    link = await ann.desk.make_link(room, role=4)
    await cleo.desk.join(link.text())
    await cleo.reaches(room, "active")
    await cleo.say(room, "by a link")
    await ann.has(room, "by a link")
    await ann.desk.ban(room, cleo.user)
    await cleo.reaches(room, "left")
    with pytest.raises(PolicyRefused):
        await cleo.desk.join(link.text())


async def test_a_file_goes_from_one_provider_to_the_other(
    people: dict[str, Resident], tmp_path: Path
) -> None:
    ann, ben = people["ann"], people["ben"]
    await ann.move_in()
    await ben.move_in()
    await ben.desk.consent(ann.user)
    room = await ann.desk.create("Tea")
    await ann.desk.invite(room, ben.user)
    await ben.reaches(room, "active")
    octets = system_rng(300_000)
    picture = tmp_path / "tea.png"
    picture.write_bytes(octets)
    sent = await ben.desk.send_file(room, picture)

    async def there() -> bool:
        return bool(await ann.storage.entries([sent.entry]))

    await eventually(there)
    (entry,) = (await ann.storage.entries([sent.entry])).values()
    target = tmp_path / "got.png"
    assert await ann.desk.save_file(room, entry, target) == len(octets)
    assert target.read_bytes() == octets


async def test_an_account_token_that_nobody_has_is_refused(
    people: dict[str, Resident],
) -> None:
    with pytest.raises(CredentialsRefused):
        await people["ann"].enrol()


async def test_one_installation_is_one_device(people: dict[str, Resident]) -> None:
    ann = people["ann"]
    await ann.move_in()
    with pytest.raises(PolicyRefused, match="already"):
        await ann.enrol()
