"""A network by somebody else: installed, found, and held to the contract."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sabir.networks.registry import survey

EXAMPLE = Path(__file__).parents[2] / "examples" / "sabir-ntfy"
SURVEY = """
import json
from sabir.networks.registry import network, survey
found = survey()
print(json.dumps({
    "networks": sorted(found.networks),
    "broken": [str(broken) for broken in found.broken if broken.name == "ntfy"],
    "settings": [setting.name for setting in network("ntfy").settings],
}))
"""


def run(*command: str | Path, path: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example as a distribution, without network, and return where."""
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run("-m", "pip", "install", *options, "--target", target, EXAMPLE)
    return target


def test_an_installed_network_is_found_and_no_other_file_knows_it(
    installed: Path,
) -> None:
    found = json.loads(run("-c", SURVEY, path=installed))
    assert "ntfy" in found["networks"]
    assert found["broken"] == []
    assert found["settings"] == ["url", "token"]
    assert "ntfy" not in survey().networks


def test_the_example_passes_the_contract_and_its_own_tests(installed: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    said = run("-m", "pytest", *options, "tests", path=installed)
    skipped = [line for line in said.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 2, said
    assert "ntfy has no idempotency keys" in said
    assert "this connector leaves files behind" in said


def test_a_whole_connector_fits_in_three_hundred_lines() -> None:
    files = (EXAMPLE / "src").rglob("*.py")
    assert sum(len(file.read_text().splitlines()) for file in files) < 300
