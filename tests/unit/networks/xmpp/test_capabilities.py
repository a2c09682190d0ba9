"""What XMPP can express, by kind of chat."""

from sabir.content.capabilities import Format, Support
from sabir.networks.xmpp.capabilities import capabilities


def test_a_room_without_stable_ids_has_nothing_to_point_at() -> None:
    poor = capabilities(ghosts=True, group=True, stable_ids=False)
    rich = capabilities(ghosts=True, group=True, stable_ids=True)
    assert (poor.reply, poor.reaction, poor.delete) == (Support.FALLBACK,) * 3
    assert (rich.reply, rich.reaction, rich.delete) == (Support.FULL,) * 3
    assert poor.edit is Support.FULL
    direct = capabilities(ghosts=True, group=False, stable_ids=False)
    assert direct.reply is Support.FULL
    assert direct.room_name_max is None


def test_only_ghosts_show_joins_and_renames() -> None:
    assert capabilities(ghosts=True, group=True, stable_ids=True).room_events
    assert not capabilities(ghosts=False, group=True, stable_ids=True).room_events
    assert (
        capabilities(ghosts=False, group=True, stable_ids=True).formatting[Format.TABLE]
        is Support.DROPPED
    )
