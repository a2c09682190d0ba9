"""What the application answers."""

import pytest

from sabir.crypto.suites import SUITES
from sabir.mls.errors import MlsUnsupported
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.proposals import Remove
from sabir.mls.services import AllowAll, Services
from sabir.testing.mls.clients import Believing


def test_a_suite_that_is_not_configured_is_unsupported() -> None:
    services = Services(authentication=Believing(), suites={2: SUITES[2]})
    assert services.suite(2) is SUITES[2]
    with pytest.raises(MlsUnsupported):
        services.suite(1)


def test_by_default_all_is_left_to_the_rules() -> None:
    context = GroupContext(1, b"g", 0, b"", b"")
    assert AllowAll().allows(Remove(0), Sender.member(0), context)
    assert not Services(authentication=Believing()).components
