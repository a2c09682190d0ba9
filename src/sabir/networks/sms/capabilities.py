"""What SMS can express: plain text, and that is all."""

from dataclasses import replace
from typing import Final

from sabir.content import capability_data
from sabir.content.capabilities import Capabilities, Support
from sabir.networks.sms.gsm import PARTS_MAX, SEPTETS_OF_SEVERAL

CAPABILITIES: Final[Capabilities] = replace(
    capability_data.capabilities("sms_mms"),
    text_max=PARTS_MAX * SEPTETS_OF_SEVERAL,
    text_parts_max=1,
    attachment=Support.FALLBACK,
    attachment_octets_max=None,
)
"""Phones join the parts of a text, so ten of them are one text to us and carry no
counter. Files go by MMS, which SMPP does not have."""
