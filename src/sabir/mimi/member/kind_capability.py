"""Which capabilities a message needs by its kind (6.2): `needs_of`.

The hub cannot read messages, so receivers enforce this. What a message does to
another one is known only with that one: `Known`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sabir.content.gfm import read as read_markdown
from sabir.content.html_text import read_html
from sabir.content.model import (
    Content,
    Disposition,
    ExternalPart,
    MessageId,
    MultiPart,
    NullPart,
    Part,
    SinglePart,
)
from sabir.content.rich import Link
from sabir.mimi.codepoints import Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMessage:
    """What the timeline knows of a message.

    Attributes:
        sender: URI of the user.
        is_reaction: it is a reaction to another.
        in_reply_to: what it answers.
        is_deleted: it was deleted.
    """

    sender: str
    is_reaction: bool = False
    in_reply_to: MessageId | None = None
    is_deleted: bool = False


_NO_MESSAGES: Final[Mapping[MessageId, KnownMessage]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the timeline knows of a message's surroundings.

    Attributes:
        messages: those that it refers to, and itself, by id; with the messages that
            they answer in turn as far as loops are to be found.
        topics: the topics of the room, or just the message's own if it is there.
    """

    messages: Mapping[MessageId, KnownMessage] = field(
        default_factory=lambda: _NO_MESSAGES
    )
    topics: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a message needs.

    Attributes:
        capabilities: all of them.
        forbidden: nobody may do it.
        is_unknown: it changes a message that is not known (yet).
    """

    capabilities: frozenset[Capability] = frozenset()
    forbidden: bool = False
    is_unknown: bool = False


# ---- form


def leaves_of(part: Part) -> Iterator[Part]:
    """Return the parts of a message that are no multipart, in their order."""
    if isinstance(part, MultiPart):
        for each in part.parts:
            yield from leaves_of(each)
    else:
        yield part


def is_reaction(content: Content) -> bool:
    """Whether a message is nothing but a reaction, or several."""
    leaves = tuple(leaves_of(content.body))
    return all(
        leaf.disposition == Disposition.REACTION and not isinstance(leaf, NullPart)
        for leaf in leaves
    )


# ---- what it says

_UPLOADS: Final[Mapping[str, Capability]] = MappingProxyType(
    {
        "image": Capability.CAN_UPLOAD_IMAGE,
        "audio": Capability.CAN_UPLOAD_AUDIO,
        "video": Capability.CAN_UPLOAD_VIDEO,
    }
)

_TEXTS: Final = MappingProxyType(
    {"text/markdown": read_markdown, "text/html": read_html}
)


def _needs_of_part(part: Part) -> Iterator[Capability]:
    if isinstance(part, NullPart | MultiPart):
        return
    if part.disposition == Disposition.PREVIEW:
        yield Capability.CAN_SEND_LINK_PREVIEW
        return
    base = part.content_type.partition(";")[0].strip().lower()
    if part.disposition == Disposition.ATTACHMENT:
        yield Capability.CAN_UPLOAD_ATTACHMENT
    elif part.disposition != Disposition.SESSION:
        upload = _UPLOADS.get(base.partition("/")[0])
        if upload is not None:
            yield upload
        elif isinstance(part, ExternalPart):
            yield Capability.CAN_UPLOAD_ATTACHMENT
    if isinstance(part, SinglePart) and base in _TEXTS:
        rich = _TEXTS[base](part.content.decode(errors="replace"))
        if _has_link(rich):
            yield Capability.CAN_SEND_LINK


def _has_link(thing: object) -> bool:
    """Whether a tree of text has a link to the web; a mention is none."""
    if isinstance(thing, Link):
        return True
    if isinstance(thing, tuple):
        return any(map(_has_link, thing))
    names = getattr(type(thing), "__dataclass_fields__", ())
    return any(_has_link(getattr(thing, name)) for name in names)


# ---- what it does


def needs_of(content: Content, sender: str, known: Known) -> Needs:
    """Return what a message needs.

    Args:
        content: of the message.
        sender: URI of the user.
        known: what it refers to, as far as that is known.
    """
    if content.replaces is not None:
        return _needs_of_change(content, content.replaces, sender, known)
    needed: set[Capability] = set()
    reaction = content.in_reply_to is not None and is_reaction(content)
    if reaction:
        needed.add(Capability.CAN_REACT_TO_MESSAGE)
    else:
        needed.add(Capability.CAN_SEND_MESSAGE)
        if any(_is_reaction_part(leaf) for leaf in leaves_of(content.body)):
            needed.add(Capability.CAN_REACT_TO_MESSAGE)
        if content.in_reply_to is not None:
            needed.add(Capability.CAN_REPLY_TO_MESSAGE)
    if content.topic_id:
        started = content.topic_id in known.topics
        needed.add(
            Capability.CAN_REPLY_IN_TOPIC if started else Capability.CAN_START_TOPIC
        )
    needed.update(_needs_of_parts(content))
    return Needs(frozenset(needed))


def _is_reaction_part(leaf: Part) -> bool:
    return leaf.disposition == Disposition.REACTION


def _needs_of_parts(content: Content) -> Iterator[Capability]:
    for leaf in leaves_of(content.body):
        yield from _needs_of_part(leaf)


def _needs_of_change(
    content: Content, target: MessageId, sender: str, known: Known
) -> Needs:
    deletes = isinstance(content.body, NullPart)
    old = known.messages.get(target)
    if old is None:
        edits = {Capability.CAN_SEND_MESSAGE, Capability.CAN_EDIT_OWN_MESSAGE}
        needed = edits.union(_needs_of_parts(content))
        return Needs(frozenset(needed), forbidden=deletes, is_unknown=True)
    if old.is_deleted:
        return Needs(forbidden=True)
    if deletes:
        return Needs(frozenset({_DELETING[old.is_reaction, old.sender == sender]}))
    if old.sender != sender:
        return Needs(forbidden=True)
    if old.is_reaction and is_reaction(content):
        return Needs(frozenset({Capability.CAN_EDIT_REACTION}))
    edit = (
        Capability.CAN_EDIT_REACTION
        if old.is_reaction
        else Capability.CAN_EDIT_OWN_MESSAGE
    )
    needed = {Capability.CAN_SEND_MESSAGE, edit, *_needs_of_parts(content)}
    return Needs(frozenset(needed))


_DELETING: Final = MappingProxyType(
    {
        (True, True): Capability.CAN_DELETE_OWN_REACTION,
        (True, False): Capability.CAN_DELETE_OTHER_REACTION,
        (False, True): Capability.CAN_DELETE_OWN_MESSAGE,
        (False, False): Capability.CAN_DELETE_OTHER_MESSAGE,
    }
)
"""By whether it is a reaction, and one's own."""
