"""What runs has what the operator configured."""

from pathlib import Path

from sabir.cli.running import DAY_MS, make_agent
from tests.unit.cli.shell import matrix_account
from tests.unit.cli.test_composition import installation


async def test_an_agent_has_every_account_and_the_operators_limits(
    tmp_path: Path,
) -> None:
    made = installation(tmp_path, matrix_account(tmp_path))
    storage = made.open_storage()
    agent = await make_agent(made, storage)
    assert agent.account("work") is not None
    assert agent._keep_ms == 30 * DAY_MS
    storage.close()
