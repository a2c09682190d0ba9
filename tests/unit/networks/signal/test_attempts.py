from sabir.networks.api import IdempotencyKey
from sabir.networks.signal.attempts import SLOTS, Attempts, State
from sabir.testing.clock import LoopClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng


def key(number: int) -> IdempotencyKey:
    return IdempotencyKey(f"{number:a>32}")


def new_host() -> RecordingHost:
    return RecordingHost(clock=LoopClock(), rng=SeededRng("attempts"))


async def test_two_sends_never_have_the_same_time() -> None:
    attempts = Attempts(new_host())
    times = [(await attempts.begin(key(n), now=5)).sent_at for n in range(3)]
    assert times == [5, 6, 7]


async def test_a_send_tried_again_keeps_its_time() -> None:
    host = new_host()
    first = await Attempts(host).begin(key(1), now=5)
    later = Attempts(host)
    await later.load()
    again = await later.begin(key(1), now=900)
    assert (again.sent_at, again.tries) == (first.sent_at, 2)


async def test_notes_survive_and_open_ones_are_kept_longest() -> None:
    host = new_host()
    attempts = Attempts(host)
    open_one = await attempts.begin(key(0), now=1)
    for number in range(1, 3 * SLOTS):
        attempt = await attempts.begin(key(number), now=1)
        await attempts.settle(attempt, State.SENT, sent_at=1_000 + number)
    again = Attempts(host)
    await again.load()
    assert again.find(key(0)) == open_one
    assert again.find(key(1)) is None
    newest = again.find(key(3 * SLOTS - 1))
    assert newest is not None
    assert (newest.state, newest.sent_at) == (State.SENT, 1_000 + 3 * SLOTS - 1)
    assert len(host.facts) == SLOTS
    assert again.knows_time(newest.sent_at)
    assert not again.knows_time(77)


async def test_when_everything_is_open_the_oldest_gives_way() -> None:
    attempts = Attempts(new_host())
    for number in range(SLOTS + 1):
        await attempts.begin(key(number), now=1)
    assert attempts.find(key(SLOTS)) is not None
    assert attempts.find(key(0)) is None
