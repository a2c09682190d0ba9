"""`provider.toml`: what it says about files."""

from pathlib import Path

import pytest

from sabir.cli.provider_config import CONFIG_NAME, example, load_provider_file
from sabir.errors import ConfigInvalid
from sabir.provider.config import AssetSettings, ProviderConfig


def read(folder: Path, text: str) -> ProviderConfig:
    (folder / CONFIG_NAME).write_text('domain = "a.example"\n' + text)
    return load_provider_file(folder).provider


def test_files_have_their_limits_without_a_word(tmp_path: Path) -> None:
    assert read(tmp_path, "").assets == AssetSettings()


def test_the_operator_decides_about_files(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "[assets]\nper_device_mib = 1\nkeep_days = 7\ncache_mib = 128\nfree_mib = 3\n"
        '[peers."b.example"]\nasset_hosts = ["files.example"]\n',
    )
    assert found.assets == AssetSettings(
        per_device_octets=1 << 20,
        keep_days=7,
        cache_octets=128 << 20,
        free_octets_min=3 << 20,
    )
    assert found.peers["b.example"].asset_hosts == ("files.example",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[assets]\nkeep_days = 0", "assets.keep_days: must be a number from 1"),
        ("[assets]\nkeep_days = 9999", "assets.keep_days: must be a number from 1"),
        ("[assets]\nkeep_days = true", "assets.keep_days: must be a number"),
        ('[assets]\nkeep_days = "7"', "assets.keep_days: must be a number"),
        ("[assets]\ncache_mib = 127", "assets.cache_mib: must be a number from 128"),
        ("[assets]\nper_device = 1", "assets.per_device: unknown"),
        ("assets = 7", "assets: must be a table"),
        (
            '[peers."b.example"]\nasset_hosts = ["https://files.example"]',
            "asset_hosts: must be DNS names",
        ),
        ('[peers."b.example"]\nasset_hosts = "x"', "asset_hosts: must be a list"),
    ],
)
def test_what_is_wrong_about_files_is_named(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigInvalid, match=said.replace(".", r"\.")):
        read(tmp_path, text)


def test_the_example_is_valid_and_its_comments_name_the_defaults(
    tmp_path: Path,
) -> None:
    text = example("a.example", "127.0.0.1:8443", "127.0.0.1:8444")
    (tmp_path / CONFIG_NAME).write_text(text)
    plain = load_provider_file(tmp_path).provider
    begin = text.index("# [assets]")
    lines = text[begin : text.index("\n\n", begin)].splitlines()
    table = "\n".join(line.removeprefix("# ") for line in lines)
    assert read(tmp_path, table).assets == plain.assets == AssetSettings()
