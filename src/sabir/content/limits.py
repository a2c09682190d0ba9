"""Limits of MIMI content, with their reasons."""

from typing import Final

from sabir.wire.cbor import Limits

CONTAINER_OCTETS_MAX: Final = 512 * 1024
"""MIMI.md 5.9: a larger container is discarded."""
TOPIC_ID_OCTETS_MAX: Final = 4_096
"""content-09, topicId."""
PARTS_MAX: Final = 1_024
"""D-45: parts of one message, including the root."""
NESTING_MAX: Final = 4
"""D-45: the root is level 1 and leaves count."""
EXTENSION_KEY_OCTETS_MAX: Final = 255
"""content-09: names of private extensions."""
EXTENSION_KEY_INT_MAX: Final = 2**53 - 1
"""content-09: integer names stay exact in every language."""
EXTENSION_NESTING_MAX: Final = 4
"""D-45: the extensions map is level 1; arrays, maps and tags inside add one each."""
SUBJECT_OCTETS_MAX: Final = 4_096
"""content-09, extension 5."""

CBOR_LIMITS: Final = Limits(depth_max=2 * NESTING_MAX + 2, items_max=100_000)
"""A part of level n sits in 2n-1 arrays inside the container; extensions need fewer."""
