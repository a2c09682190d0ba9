"""The manual's table of rules is the kit's."""

import re
from pathlib import Path

from sabir.testing.contract.rules import ConnectorContract

MANUAL = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-connector.md"


def test_the_manual_lists_every_rule_of_the_kit() -> None:
    listed = re.findall(r"^\| (K\d+) \|", MANUAL.read_text(), re.MULTILINE)
    numbers = [
        name.split("_")[1].upper()
        for name in vars(ConnectorContract)
        if name.startswith("test_k")
    ]
    assert listed == numbers
