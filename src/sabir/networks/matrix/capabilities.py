"""What Matrix can express, as data (`data/network_capabilities.json`, key `matrix`)."""

from typing import Final

from sabir.content.capabilities import Capabilities, Format, Support, TextUnit

TEXT_OCTETS_MAX: Final = 30_000
"""Fits an event of 65,536 octets even if JSON has to escape every character."""

_FORMATTING: Final = dict.fromkeys(Format, Support.FULL)


def of_ghosts(*, attachment_octets_max: int | None) -> Capabilities:
    """Return what an application service can do: everybody speaks for themselves."""
    return Capabilities(
        network="matrix",
        text_max=TEXT_OCTETS_MAX,
        text_unit=TextUnit.OCTETS,
        formatting=_FORMATTING,
        reply=Support.FULL,
        thread=Support.FULL,
        edit=Support.FULL,
        delete=Support.FULL,
        reaction=Support.FULL,
        attachment=Support.FULL,
        attachment_octets_max=attachment_octets_max,
        caption=Support.FULL,
        voice=Support.FULL,
        room_events=True,
        ghosts=True,
    )


def of_account(*, attachment_octets_max: int | None) -> Capabilities:
    """Return what one account can do for everybody.

    A second person's reaction with the same emoji would be the same reaction,
    so it is partial at most: one reaction per emoji.
    """
    return Capabilities(
        network="matrix",
        text_max=TEXT_OCTETS_MAX,
        text_unit=TextUnit.OCTETS,
        formatting=_FORMATTING,
        reply=Support.FULL,
        thread=Support.FULL,
        edit=Support.FULL,
        delete=Support.FULL,
        reaction=Support.PARTIAL,
        attachment=Support.FULL,
        attachment_octets_max=attachment_octets_max,
        caption=Support.FULL,
        voice=Support.FULL,
    )
