"""Where reading goes on when the archive has forgotten our cursor."""

from xml.etree.ElementTree import Element

from sabir.clock import Instant
from sabir.networks.xmpp import progress
from sabir.networks.xmpp.archive import Archived, Page
from sabir.testing.clock import VirtualClock
from sabir.testing.recording_host import RecordingHost
from sabir.testing.rng import SeededRng


def message(ident: str, at: int) -> Archived:
    return Archived(ident, Instant(at), Element("message"))


def host() -> RecordingHost:
    return RecordingHost(clock=VirtualClock(), rng=SeededRng())


async def test_never_from_before_the_first_connection() -> None:
    kept = host()
    await progress.begin(kept, "muc:r@m", message("m0", 5_500))
    found = await progress.resumption(kept, "muc:r@m")
    assert found.start == 5_000
    page = Page((message("x", 5_100), message("m0", 5_500), message("m1", 5_600)), True)
    assert [one.id for one in found.without_older(page)] == ["m1"]
    later = Page((message("m2", 5_700),), complete=True)
    assert found.without_older(later) == later.messages


async def test_some_time_before_the_last_message_read() -> None:
    kept = host()
    await progress.begin(kept, "muc:r@m", None)
    await progress.note(kept, "muc:r@m", Instant(5_000_000))
    found = await progress.resumption(kept, "muc:r@m")
    assert found.start == 5_000_000 - progress.OVERLAP_MS
    assert (await progress.resumption(host(), "other")).start == 0
