"""Without an agreement nothing is claimed; with one, still nothing is."""

import pytest

from sabir.errors import ConfigInvalid
from sabir.networks import registry
from sabir.networks.whatsapp.dma.contract import contract, readiness

GOOD = """
reference = "R-1"
integrator_id = 7
endpoint = "https://interop.example.org/v1"
region = "EEA"
key_file = "integrator.pem"
"""


def test_an_agreement_is_read() -> None:
    found = contract(GOOD)
    assert (found.reference, found.integrator_id, found.region) == ("R-1", 7, "EEA")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("reference", "ref"), "lacks reference"),
        (("7", "70000"), "integrator_id"),
        (("7", "true"), "integrator_id"),
        (("https:", "http:"), "https://"),
        (('"EEA"', "7"), "region"),
        (("=", "=="), "not TOML"),
    ],
)
def test_what_is_wrong_in_it_is_named(change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigInvalid, match=words):
        contract(GOOD.replace(*change))


def test_readiness_never_claims_a_connection() -> None:
    assert readiness(None).startswith("WhatsApp DMA: contract needed, unverified")
    assert "unverified" in readiness(contract(GOOD))


def test_no_network_is_offered_for_it() -> None:
    assert not [name for name in registry.networks() if "dma" in name]
