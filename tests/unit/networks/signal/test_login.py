import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sabir.errors import ConfigInvalid, CredentialsRefused, LocalError, Unavailable
from sabir.networks.api import AccountId
from sabir.networks.login import Ask, Done, ShowCode
from sabir.networks.registry import check_account
from sabir.networks.signal.login import ANOTHER, LATER, SAME, UNSEEN, SignalLogin
from sabir.networks.signal.network import NETWORK
from sabir.testing.clock import LoopClock
from sabir.testing.rng import SeededRng
from sabir.testing.servers.signal_daemon import Fault, SignalDaemon
from tests.unit.networks.signal.bench import NUMBER, new_daemon
from tests.unit.networks.signal.events import BOB, CAROL, OWN


@pytest_asyncio.fixture
async def daemon() -> AsyncIterator[SignalDaemon]:
    running = new_daemon()
    await running.start()
    yield running
    await running.stop()
    assert running.violations == []


@pytest_asyncio.fixture
async def flow() -> AsyncIterator[SignalLogin]:
    flow = SignalLogin()
    await flow.begin()
    yield flow
    await flow.close()
    await flow.close()


def at(daemon: SignalDaemon) -> dict[str, str]:
    return {"endpoint": f"tcp:127.0.0.1:{daemon.port}"}


async def test_a_code_is_shown_and_scanned(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    daemon.number = ""
    step = await flow.answer({**at(daemon), "read_receipts": "yes"})
    assert isinstance(step, ShowCode)
    assert step.data.startswith("sgnl://linkdevice?")
    assert step.expires_s
    daemon.scans.put_nowait(NUMBER)
    done = await flow.answer({})
    assert isinstance(done, Done)
    assert done.settings == {
        **at(daemon),
        "files_dir": "",
        "read_receipts": True,
        "number": NUMBER,
        "aci": OWN,
    }
    assert NUMBER not in done.welcome
    assert NUMBER[-2:] in done.welcome
    # what the dialogue stores, the network accepts
    checked = check_account(NETWORK, id=AccountId("s"), settings=done.settings)
    NETWORK.connector(checked, clock=LoopClock(), rng=SeededRng("x"))
    with pytest.raises(LocalError):
        await flow.answer({})


async def test_a_code_that_was_not_scanned_in_time_is_shown_anew(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    daemon.number = ""
    late = Fault(-1, "Link request timed out, please try again.")
    daemon.faults["finishLink"] = [late, late, late]
    first = await flow.answer(at(daemon))
    second = await flow.answer({})
    assert isinstance(first, ShowCode)
    assert isinstance(second, ShowCode)
    assert first.data != second.data
    await flow.answer({})
    with pytest.raises(Unavailable, match="3 codes"):
        await flow.answer({})


async def test_an_account_that_the_daemon_holds_is_used_without_scanning(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    step = await flow.answer(at(daemon))
    assert isinstance(step, Ask)
    assert step.fields[0].choices == (NUMBER, ANOTHER)
    with pytest.raises(ConfigInvalid):
        await flow.answer({"account": "bob"})
    done = await flow.answer({"account": NUMBER})
    assert isinstance(done, Done)


async def test_an_unlinked_account_is_linked_again(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    daemon.linked = False
    await flow.answer(at(daemon))
    daemon.faults["deleteLocalAccountData"] = [Fault(-32601, "Method not implemented")]
    step = await flow.answer({"account": NUMBER})
    assert isinstance(step, ShowCode)
    daemon.scans.put_nowait(NUMBER)
    assert isinstance(await flow.answer({}), Done)


async def test_another_phone_can_be_linked(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    await flow.answer(at(daemon))
    assert isinstance(await flow.answer({"account": ANOTHER}), ShowCode)


async def test_changed_safety_numbers_are_decided_one_by_one(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    for person in (BOB, CAROL):
        daemon.change_key(person)
    await flow.answer(at(daemon))
    first = await flow.answer({"account": NUMBER, "review": "yes"})
    assert isinstance(first, Ask)
    assert "Bob" in first.title
    assert "00002 00002" in first.title
    with pytest.raises(ConfigInvalid):
        await flow.answer({"decision": "perhaps"})
    second = await flow.answer({"decision": SAME})
    assert isinstance(second, Ask)
    assert "Carol" in second.title
    assert isinstance(await flow.answer({"decision": UNSEEN}), Done)
    levels = {aci: person.trust for aci, person in daemon.people.items()}
    assert levels == {BOB: "TRUSTED_VERIFIED", CAROL: "TRUSTED_UNVERIFIED"}


async def test_nothing_is_trusted_unless_the_owner_says_so(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    daemon.change_key(BOB)
    await flow.answer(at(daemon))
    await flow.answer({"account": NUMBER, "review": "yes"})
    assert isinstance(await flow.answer({"decision": LATER}), Done)
    assert daemon.people[BOB].trust == "UNTRUSTED"


async def test_no_daemon_and_odd_answers_say_what_to_do(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    for values in (
        {"endpoint": "signal.example.org:7583"},
        {"endpoint": "tcp:192.0.2.1:7583"},
        {"endpoint": "unix:relative"},
        {"endpoint": "http://127.0.0.1:8080"},
        {**at(daemon), "files_dir": "relative"},
    ):
        with pytest.raises(ConfigInvalid):
            await flow.answer(values)
    await daemon.stop()
    with pytest.raises(Unavailable, match="start it with"):
        await flow.answer(at(daemon))


async def test_a_daemon_that_goes_away_is_no_end_without_a_word(
    daemon: SignalDaemon, flow: SignalLogin
) -> None:
    daemon.number = ""
    await flow.answer(at(daemon))
    waiting = asyncio.gather(flow.answer({}), return_exceptions=True)
    await asyncio.sleep(0.02)
    await daemon.stop()
    (error,) = await waiting
    assert isinstance(error, Unavailable)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(-1, "User +12025550101 already exists"), CredentialsRefused),
        (Fault(-3, "no network"), Unavailable),
    ],
)
async def test_what_the_daemon_refuses_is_told_without_a_number(
    daemon: SignalDaemon, flow: SignalLogin, fault: Fault, error: type[Exception]
) -> None:
    daemon.number = ""
    daemon.faults["finishLink"] = [fault]
    await flow.answer(at(daemon))
    with pytest.raises(error) as caught:
        await flow.answer({})
    assert "+1" not in str(caught.value)
