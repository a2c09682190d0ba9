"""Webhook bodies as Meta's description shows them, in our own words."""

from typing import Any, Final

NUMBER: Final = "106540352242922"
ANN: Final = "16505551234"
OURS: Final = "15550783881"

Json = dict[str, Any]


def body(value: Json, *, of: str = "messages", number: str = NUMBER) -> Json:
    """Return a body with one change."""
    metadata = {"display_phone_number": OURS, "phone_number_id": number}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    entry = {"id": "419561257915477", "changes": [{"field": of, "value": whole}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def message(content: Json, **more: Any) -> Json:
    """Return one message from Ann."""
    head = {"from": ANN, "id": "wamid.IN", "timestamp": "1749416383"}
    return {**head, **content, **more}


def said(content: Json, **more: Any) -> Json:
    """Return a body with one message from Ann."""
    contacts = [{"profile": {"name": "Ann"}, "wa_id": ANN}]
    return body({"contacts": contacts, "messages": [message(content, **more)]})


CONTEXT: Final = {"from": OURS, "id": "wamid.OUT"}
MEDIA: Final = {"id": "1003383421387256", "sha256": "SfIn=", "mime_type": "image/jpeg"}

MESSAGES: Final[dict[str, Json]] = {
    "text": {"type": "text", "text": {"body": "Does it *fly*?"}},
    "reply": {"type": "text", "text": {"body": "yes"}, "context": CONTEXT},
    "product": {
        "type": "text",
        "text": {"body": "Still there?"},
        "context": {**CONTEXT, "referred_product": {"catalog_id": "1"}},
    },
    "advertisement": {
        "type": "text",
        "text": {"body": "More?"},
        "referral": {"source_url": "https://fb.me/x", "source_type": "ad"},
    },
    "reaction": {
        "type": "reaction",
        "reaction": {"message_id": "wamid.OUT", "emoji": "👍"},
    },
    "image": {"type": "image", "image": {**MEDIA, "caption": "Taj Mahal"}},
    "video": {"type": "video", "video": {**MEDIA, "mime_type": "video/mp4"}},
    "voice": {
        "type": "audio",
        "audio": {**MEDIA, "mime_type": "audio/ogg; codecs=opus", "voice": True},
    },
    "document": {"type": "document", "document": {**MEDIA, "filename": "a/b.pdf"}},
    "sticker": {"type": "sticker", "sticker": {**MEDIA, "animated": False}},
    "location": {
        "type": "location",
        "location": {"latitude": 37.44, "longitude": -122.16, "name": "Coffee"},
    },
    "contacts": {
        "type": "contacts",
        "contacts": [
            {
                "name": {"formatted_name": "Lucía Gómez"},
                "phones": [{"phone": "+1 983", "wa_id": "1983"}],
            }
        ],
    },
    "unsupported": {
        "type": "unsupported",
        "errors": [{"code": 131051, "title": "Message type unknown"}],
    },
    "button": {"type": "button", "button": {"payload": "p", "text": "Unsubscribe"}},
    "list_reply": {
        "type": "interactive",
        "interactive": {
            "type": "list_reply",
            "list_reply": {"id": "x", "title": "Express", "description": "2 Days"},
        },
    },
    "button_reply": {
        "type": "interactive",
        "interactive": {
            "type": "button_reply",
            "button_reply": {"id": "c", "title": "Cancel"},
        },
    },
    "order": {
        "type": "order",
        "order": {
            "text": "",
            "product_items": [
                {
                    "product_retailer_id": "di9",
                    "quantity": 2,
                    "item_price": 30,
                    "currency": "USD",
                }
            ],
        },
    },
    "system": {
        "type": "system",
        "system": {
            "body": "Ann changed from 1 to 2",
            "wa_id": "12195555358",
            "type": "user_changed_number",
        },
    },
}
"""Every kind of message that Meta's description shows, by name."""
