"""The server's settings: one file, reached through a link, with keys that Streamlit knows."""

import tomllib
from pathlib import Path

from streamlit import config

ROOT = Path(__file__).parents[2]


def test_streamlit_finds_the_settings():
    link = ROOT / ".streamlit" / "config.toml"
    assert link.resolve() == ROOT / "streamlit_config.toml"


def test_every_setting_is_known_to_streamlit():
    settings = tomllib.loads((ROOT / "streamlit_config.toml").read_text())
    for key in _flat(settings):
        assert key in config._config_options_template, key


def test_the_app_serves_this_machine_only_and_asks_nobody():
    settings = tomllib.loads((ROOT / "streamlit_config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["logger"]["hideWelcomeMessage"] is True


def test_nothing_that_keeps_others_out_is_switched_off():
    for key, wanted in (
        ("server.enableXsrfProtection", True),
        ("server.enableCORS", True),
        ("server.enableStaticServing", False),
        ("server.enableAgentApi", False),
        ("server.corsAllowedOrigins", []),
        ("global.developmentMode", False),
    ):
        assert config.get_option(key) == wanted, key


def _flat(table: dict, prefix: str = "") -> list[str]:
    keys = []
    for key, value in table.items():
        keys += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return keys
