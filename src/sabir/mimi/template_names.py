"""Names of the kinds of room; apart, so that a command line need not load MLS."""

from enum import StrEnum


class TemplateName(StrEnum):
    """What a person chooses when making a room."""

    DM = "dm"
    GROUP = "group"
    MANAGED = "managed"
    MODERATED = "moderated"
    ORGANIZATIONS = "organizations"
