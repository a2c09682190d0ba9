"""How a person adds a WhatsApp business number: one form, and what to enter at Meta."""

from collections.abc import Mapping
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid, CredentialsRefused, LocalError
from sabir.networks.api import Rng
from sabir.networks.login import Ask, Done, Field, ShowText, Step
from sabir.networks.whatsapp.client import Client, Json, Rejected, http_session
from sabir.networks.whatsapp.config import (
    GRAPH_URL_DEFAULT,
    GRAPH_VERSION_DEFAULT,
    LANGUAGE_DEFAULT,
    LISTEN_HOST_DEFAULT,
    LISTEN_PORT_DEFAULT,
    PATH_START,
    graph_url,
    new_secret,
    number_id,
    port,
    template_language,
    template_name,
)
from sabir.networks.whatsapp.names import one_line

_FORM: Final = Ask(
    title="Your WhatsApp business number (Meta's Cloud API; Meta can read what passes)",
    fields=(
        Field(
            name="phone_number_id",
            label="Phone number ID",
            help="developers.facebook.com > your app > WhatsApp > API Setup: the id "
            "below the number, not the number",
        ),
        Field(
            name="access_token",
            label="Access token",
            help="of a system user, permanent, with whatsapp_business_messaging and "
            "whatsapp_business_management; the one under API Setup ends after a day",
            secret=True,
        ),
        Field(
            name="app_secret",
            label="App secret",
            help="your app > App settings > Basic",
            secret=True,
        ),
        Field(
            name="public_url",
            label="Public address",
            help="https://... by which Meta reaches this machine, through a reverse "
            "proxy that passes everything below /whatsapp/ on",
        ),
        Field(
            name="listen_host",
            label="Listen on address",
            help="127.0.0.1 if the reverse proxy runs on this machine",
            default=LISTEN_HOST_DEFAULT,
        ),
        Field(
            name="listen_port", label="Listen on port", default=str(LISTEN_PORT_DEFAULT)
        ),
        Field(
            name="template",
            label="Template for texts after 24 hours",
            help="its name, if Meta has approved one with one body variable; empty: "
            "such texts are refused with the reason",
        ),
        Field(
            name="template_language",
            label="Language of the template",
            default=LANGUAGE_DEFAULT,
        ),
        Field(
            name="graph_url",
            label="Address of the Graph API",
            help="leave it as it is, except for tests",
            default=GRAPH_URL_DEFAULT,
        ),
    ),
)

_AT_META: Final = """\
1. Start Sabir: sabir up
2. developers.facebook.com > your app > WhatsApp > Configuration > Webhook > Edit:

   Callback URL:  {url}
   Verify token:  {token}

   "Verify and save" asks Sabir at once: it has to run, and the address has to be
   reachable from the internet. Keep both lines to yourself.
3. There, under Webhook fields, subscribe to: messages
4. Once, so that Meta delivers for this business account too:
   POST /<WhatsApp business account id>/subscribed_apps
5. Let somebody write to the number; `sabir chats` lists them then.
"""


class CloudLogin:
    """One login in progress (see `LoginFlow`)."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._done: Done | None = None
        self._asked = False

    async def begin(self) -> Step:
        """Return the form."""
        return _FORM

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Check the form with Meta; then show what to enter there."""
        if self._done is not None and not self._asked:
            self._asked = True
            return self._done
        if self._asked:
            raise LocalError("a login was answered after its end")
        return await self._check({name: text.strip() for name, text in values.items()})

    async def close(self) -> None:
        """Forget what was typed."""
        self._done = None

    async def _check(self, values: Mapping[str, str]) -> ShowText:
        number, base = number_id(values.get("phone_number_id", "")), _base(values)
        graph = graph_url(values.get("graph_url") or GRAPH_URL_DEFAULT)
        typed = values.get("listen_port") or str(LISTEN_PORT_DEFAULT)
        listen_port = port(int(typed) if typed.isdecimal() else typed)
        token, app_secret = (
            _needed(values, "access_token"),
            _needed(values, "app_secret"),
        )
        found = await _asked(graph, number, token)
        verify, path = new_secret(self._rng), new_secret(self._rng)
        shown = one_line(str(found.get("display_phone_number") or number))
        named = one_line(str(found.get("verified_name") or ""))
        self._done = Done(
            settings={
                "phone_number_id": number,
                "graph_url": graph,
                "graph_version": GRAPH_VERSION_DEFAULT,
                "listen_host": values.get("listen_host") or LISTEN_HOST_DEFAULT,
                "listen_port": listen_port,
                "template": template_name(values.get("template", "")),
                "template_language": template_language(
                    values.get("template_language") or LANGUAGE_DEFAULT
                ),
            },
            secrets={
                "access_token": token,
                "app_secret": app_secret,
                "verify_token": verify,
                "webhook_path": path,
            },
            welcome=f"Sabir is {shown} {f'({named}) ' if named else ''}on WhatsApp; "
            "Meta and this machine can read what passes",
        )
        url = f"{base}{PATH_START}{path.reveal_text()}"
        return ShowText(
            title="Enter this at Meta, then continue. Keep it secret",
            text=_AT_META.format(url=url, token=verify.reveal_text()),
        )


def _base(values: Mapping[str, str]) -> str:
    text = values.get("public_url", "").rstrip("/")
    if (
        not text.startswith("https://")
        or len(text) < 12
        or any(c in text for c in "?# ")
    ):
        raise ConfigInvalid(
            f"public_url = {text!r} is not an address that Meta calls: it has to begin "
            "with https:// and have a valid certificate, e.g. https://sabir.example.org"
        )
    return text


def _needed(values: Mapping[str, str], name: str) -> Secret:
    text = values.get(name, "")
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigInvalid(f"{name} is missing or has a wrong form; copy it once more")
    return Secret.from_text(text)


async def _asked(graph: str, number: str, token: Secret) -> Json:
    """Ask Meta for the number, which shows whether everything fits."""
    async with http_session() as http:
        client = Client(
            graph, GRAPH_VERSION_DEFAULT, http, number_id=number, token=token
        )
        try:
            return await client.number()
        except Rejected as no:
            raise CredentialsRefused(
                f"Meta does not let this token see the number {number} ({no}); check "
                "the phone number ID, and that the system user has the WhatsApp "
                "account as an asset"
            ) from no
