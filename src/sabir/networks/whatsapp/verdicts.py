"""What Meta's error codes mean, and who can do what about it. Pure.

Source: Meta's page "Error codes" of the WhatsApp Business Platform and the Graph
API's error handling; which codes really come when is not verified (no live account).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from sabir.networks.whatsapp import window


class Blame(Enum):
    """What follows from an error."""

    TOKEN = auto()
    """The owner must renew the access or its rights; nothing goes until then."""
    WAIT = auto()
    """Later it may work."""
    REFUSED = auto()
    """This piece never; others may."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and the words for a person (cause and way out)."""

    blame: Blame
    words: str
    wait_ms: int | None = None


MINUTE_MS: Final = 60_000
PAIR_WAIT_MS: Final = 6_000
"""131056: one message in 6 seconds to the same person, Meta says."""
TITLE_CHARACTERS_MAX: Final = 200

_RENEW: Final = (
    "make a new permanent token of a system user with whatsapp_business_messaging "
    "and whatsapp_business_management, and add this account again"
)
_BUSY: Final = "WhatsApp limits our rate"
_TEMPLATE: Final = (
    "WhatsApp refused the template (see WhatsApp Manager > Message templates): "
    "correct it there or in the account's setting `template`"
)

CODES: Final[Mapping[int, Verdict]] = {
    # the token and its rights
    0: Verdict(Blame.TOKEN, f"the token was not accepted; {_RENEW}"),
    3: Verdict(Blame.TOKEN, f"the token has not the right to do this; {_RENEW}"),
    10: Verdict(Blame.TOKEN, f"the token has not the right to do this; {_RENEW}"),
    190: Verdict(Blame.TOKEN, f"the token has expired or was revoked; {_RENEW}"),
    131005: Verdict(Blame.TOKEN, f"the token has not the right to do it; {_RENEW}"),
    131031: Verdict(
        Blame.TOKEN,
        "Meta has locked this business account; see Business Support Home",
    ),
    133010: Verdict(
        Blame.TOKEN,
        "the phone number is not registered at the Cloud API; register it "
        "(POST /<number>/register with its PIN)",
    ),
    368: Verdict(
        Blame.TOKEN,
        "Meta has blocked this account for breaking a rule; see Business Support Home",
    ),
    # rates and weather
    1: Verdict(Blame.WAIT, "Meta has an unknown trouble", 5_000),
    2: Verdict(Blame.WAIT, "Meta's service is down or overloaded", 30_000),
    4: Verdict(Blame.WAIT, f"{_BUSY} (calls of the app)", 5 * MINUTE_MS),
    80007: Verdict(Blame.WAIT, f"{_BUSY} (the business account)", 5 * MINUTE_MS),
    130429: Verdict(Blame.WAIT, f"{_BUSY} (messages of the number)", 10_000),
    131000: Verdict(Blame.WAIT, "WhatsApp has an unknown trouble", 5_000),
    131016: Verdict(Blame.WAIT, "WhatsApp is not available", 30_000),
    131048: Verdict(
        Blame.WAIT,
        "WhatsApp holds this number back, because people blocked or reported it; "
        "see its quality in WhatsApp Manager",
        60 * MINUTE_MS,
    ),
    131056: Verdict(Blame.WAIT, f"{_BUSY} (to this person)", PAIR_WAIT_MS),
    131057: Verdict(Blame.WAIT, "the number is in maintenance", 5 * MINUTE_MS),
    133004: Verdict(Blame.WAIT, "WhatsApp is not available", 30_000),
    # this piece
    100: Verdict(
        Blame.REFUSED,
        "WhatsApp did not understand the request; please report this as a bug of Sabir",
    ),
    130472: Verdict(
        Blame.REFUSED,
        "WhatsApp holds this message back as part of an experiment; ask the person "
        "to write first",
    ),
    131008: Verdict(Blame.REFUSED, "WhatsApp misses something; please report this"),
    131009: Verdict(Blame.REFUSED, "WhatsApp refuses a value; please report this"),
    131021: Verdict(Blame.REFUSED, "a number cannot write to itself"),
    131026: Verdict(
        Blame.REFUSED,
        "WhatsApp cannot deliver to this person: the number is not on WhatsApp, the "
        "app is too old, they have not accepted WhatsApp's terms, or they block you. "
        "Ask them by another way",
    ),
    131030: Verdict(
        Blame.REFUSED,
        "this is a test number, and the person is not on its list of recipients; add "
        "them in the app's dashboard (WhatsApp > API Setup > To)",
    ),
    131042: Verdict(
        Blame.REFUSED,
        "Meta has no valid payment method for this business; see Billing Hub",
    ),
    131047: Verdict(Blame.REFUSED, window.refusal(has_template=False)),
    131049: Verdict(
        Blame.REFUSED,
        "WhatsApp did not deliver it, to keep this person from too many messages of "
        "businesses; ask them to write first",
    ),
    131050: Verdict(Blame.REFUSED, "this person wants no such messages from you"),
    131051: Verdict(Blame.REFUSED, "WhatsApp does not know this kind of message"),
    131052: Verdict(Blame.REFUSED, "WhatsApp could not fetch the file"),
    131053: Verdict(
        Blame.REFUSED,
        "WhatsApp does not take this file: wrong type, damaged, or too large; send it "
        "as PDF, JPEG, MP4 or text",
    ),
    **dict.fromkeys(
        (132000, 132001, 132005, 132007, 132012, 132015, 132016),
        Verdict(Blame.REFUSED, _TEMPLATE),
    ),
}
"""Codes we have words for; the rest is judged by status."""

_PERMISSIONS: Final = range(200, 300)
"""Graph API: missing permissions."""
_DIGITS: Final = re.compile(r"[0-9]{6,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphError:
    """An error object of Meta's, of an answer or of a webhook."""

    code: int
    title: str = ""
    is_transient: bool = False
    trace: str = ""
    """`fbtrace_id`: what Meta's support asks for."""


def graph_error(found: object) -> GraphError:
    """Read an error object; whatever is missing or wrong in it is left out."""
    body: Mapping[str, Any] = found if isinstance(found, dict) else {}
    code, title = body.get("code"), body.get("title") or body.get("message")
    trace = body.get("fbtrace_id")
    return GraphError(
        code=code if isinstance(code, int) and not isinstance(code, bool) else -1,
        title=_shown(title) if isinstance(title, str) else "",
        is_transient=body.get("is_transient") is True,
        trace=trace[:64] if isinstance(trace, str) and trace.isascii() else "",
    )


def _shown(title: str) -> str:
    """Return a title fit to be shown: one line, and no phone number in it."""
    one_line = " ".join(title.split())[:TITLE_CHARACTERS_MAX]
    return _DIGITS.sub(lambda found: found[0][:2] + "…", one_line)


def judge(error: GraphError, *, status: int = 400) -> Verdict:
    """Say what follows from an error.

    Args:
        error: as Meta gave it.
        status: of the HTTP answer; 400 for one that came by webhook.
    """
    if error.code in _PERMISSIONS:
        return CODES[10]
    known = CODES.get(error.code)
    if known is not None and not (error.is_transient and known.blame is Blame.REFUSED):
        return known
    if error.is_transient or status >= 500:
        return Verdict(Blame.WAIT, "Meta's service fails at the moment", 5_000)
    if status == 429:
        return Verdict(Blame.WAIT, _BUSY, MINUTE_MS)
    if status == 401:
        return CODES[190]
    named = f": {error.title}" if error.title else ""
    return Verdict(Blame.REFUSED, f"WhatsApp refused it{named}")


def sentence(error: GraphError, verdict: Verdict) -> str:
    """Return the words with what support asks for."""
    trace = f", trace {error.trace}" if error.trace else ""
    return f"{verdict.words} (code {error.code}{trace})"
