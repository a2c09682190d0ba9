"""What is stored is read back, and nothing else is."""

import json

import pytest

from sabir.errors import LocalError
from sabir.networks.whatsapp.dma.codec import decode, encode
from sabir.networks.whatsapp.dma.enlistment import Enlistment


def test_the_first_state_needs_no_steps() -> None:
    enlistment = Enlistment(person="p")
    assert decode(encode(enlistment)) == enlistment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({"person": "p", "state": "enlisted", "steps": []}),
        json.dumps({"person": "p", "state": "odd", "steps": []}),
        json.dumps({"person": "p", "state": "offered", "steps": [["offered"]]}),
    ],
)
def test_what_we_did_not_write_is_not_believed(text: str) -> None:
    with pytest.raises(LocalError):
        decode(text)
