"""Long polling: acknowledgement by offset, and what can go wrong with it."""

import pytest

from sabir.errors import PeerMisbehaved, Unavailable
from sabir.networks.telegram import polling
from sabir.networks.telegram.intake import CURSOR
from sabir.testing.telegram.shell import Refusal
from tests.unit.networks.telegram.bench import ANN, GROUP, bench, ends


async def test_what_waited_is_late_and_what_comes_is_not() -> None:
    async with bench() as at:
        at.server.says(GROUP, ANN, "before")
        async with at.running():
            at.server.says(GROUP, ANN, "after")
            assert await at.texts(2) == ["before", "after"]
            assert [event.late for event in at.host.events] == [True, False]


async def test_more_than_a_batch_is_caught_up_on_before_we_are_connected() -> None:
    async with bench() as at:
        for number in range(250):
            at.server.says(GROUP, ANN, str(number))
        async with at.running():
            assert len(at.host.events) == 250
            assert await at.texts(250) == [str(number) for number in range(250)]


async def test_only_what_is_stored_is_acknowledged() -> None:
    async with bench() as at:
        async with at.running():
            at.server.says(GROUP, ANN, "one")
            await at.texts(1)
            await at.host.until(lambda: at.server.updates.count == 0)
        last = at.methods("getUpdates")[-1]
        assert at.host.cursors[CURSOR].startswith(f"{last['offset'] - 1}@")


async def test_after_a_week_of_silence_a_smaller_id_is_new() -> None:
    async with bench() as at:
        async with at.running():
            at.server.says(GROUP, ANN, "long ago")
            await at.texts(1)
        number, _, _ = at.host.cursors[CURSOR].partition("@")
        at.host.cursors[CURSOR] = f"{number}@0"
        await at.server.updates.close()
        at.server.updates = type(at.server.updates)()
        at.server.updates.start()
        at.server.updates.renumber(5)
        at.server.says(GROUP, ANN, "today")
        at.server.requests.clear()
        async with at.running():
            assert await at.texts(2) == ["long ago", "today"]
            assert "offset" not in at.methods("getUpdates")[0]


async def test_a_rate_limit_on_polling_is_waited_for() -> None:
    async with bench() as at:
        limited = Refusal(429, "Too Many Requests: retry after 1", retry_after=1)
        at.server.refusals.append(("getUpdates", limited))
        async with at.running():
            at.server.says(GROUP, ANN, "hello")
            assert await at.texts(1) == ["hello"]


async def test_a_webhook_that_comes_meanwhile_ends_the_run() -> None:
    async with bench() as at:
        taken = Refusal(
            409, "Conflict: can't use getUpdates method while webhook is active"
        )
        at.server.refusals.append(("getUpdates", taken))
        error = await ends(at.bot, at.host)
        assert isinstance(error, Unavailable)
        assert "another program" in str(error)


async def test_any_other_refusal_ends_the_run() -> None:
    async with bench() as at:
        at.server.refusals.append(("getUpdates", Refusal(400, "Bad Request: odd")))
        error = await ends(at.bot, at.host)
        assert "odd" in str(error)


async def test_updates_that_are_no_list_are_the_peers_fault() -> None:
    async with bench() as at:

        async def odd(params: object) -> object:
            return {}

        at.server.updates.get = odd  # type: ignore[method-assign,assignment]  # the point
        error = await ends(at.bot, at.host)
        assert isinstance(error, PeerMisbehaved)
        assert error.rule == "TELEGRAM-010"
        at.server.problems.clear()


async def test_a_poll_that_ends_empty_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "POLL_S", 1)
    async with bench() as at, at.running():
        await at.host.until(lambda: len(at.methods("getUpdates")) == 3)
        at.server.says(GROUP, ANN, "hello")
        assert await at.texts(1) == ["hello"]
