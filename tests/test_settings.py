"""Where settings come from, in which order, and what is said about a wrong one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from minivec.errors import InvalidInput
from minivec.settings import Settings, keys_of


def test_arguments_beat_the_environment_beats_the_file_beats_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "minivec.toml"
    file.write_text('port = 1\nhost = "10.0.0.1"\ndata = "from-file"\n')
    settings = Settings.read(
        {"port": 3, "host": None}, {"MINIVEC_PORT": "2", "MINIVEC_HOST": "10.0.0.2", "PORT": "9"}, file
    )
    assert (settings.port, settings.host, settings.data, settings.durability) == (3, "10.0.0.2", "from-file", "full")


def test_every_setting_can_come_from_the_environment() -> None:
    for setting in fields(Settings):
        value = str(setting.default)
        settings = Settings.read(environment={f"MINIVEC_{setting.name.upper()}": value})
        assert getattr(settings, setting.name) == setting.default
        assert setting.metadata["help"].endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "many"),
        ("port", -1),
        ("durability", "perhaps"),
        ("log_level", "loud"),
        ("nonsense", 1),
        ("search_threads", 0),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.read({name: value})
    assert caught.value.field == name


def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        Settings.read(file=tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("port = = 1")
    with pytest.raises(InvalidInput, match="is not TOML"):
        Settings.read(file=broken)


def test_other_variables_with_our_prefix_are_passed_over() -> None:
    assert Settings.read(environment={"MINIVEC_PROFILE": "x"}) == Settings()


WRITTEN = [("true", True), ("1", True), ("on", True), ("False", False), ("0", False), ("no", False)]


@pytest.mark.parametrize(("written", "read"), WRITTEN)
def test_a_switch_is_read_as_a_person_means_it(written: str, read: bool) -> None:
    assert Settings.read(environment={"MINIVEC_ALLOW_BASE_URL_HEADER": written}).allow_base_url_header is read


def test_a_switch_that_is_neither_on_nor_off_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.read({"allow_private_base_urls": "maybe"})
    assert caught.value.field == "allow_private_base_urls"


def test_what_opens_doors_is_off_by_default() -> None:
    assert not Settings().allow_base_url_header
    assert not Settings().allow_private_base_urls


def test_nvidias_own_variables_are_read_and_ours_goes_first() -> None:
    assert Settings.read(environment={"NVIDIA_API_KEY": "b"}).nvidia_api_key == "b"
    assert Settings.read(environment={"NVIDIA_API_KEY": "b", "NVIDIA_APIKEY": "a"}).nvidia_api_key == "a"
    assert Settings.read(environment={"NVIDIA_APIKEY": "a", "MINIVEC_NVIDIA_API_KEY": "own"}).nvidia_api_key == "own"
    assert keys_of({"NVIDIA_APIKEY": "a", "MINIVEC_NVIDIA_API_KEY": "own", "MINIVEC_PORT": "1"}) == {
        "nvidia_api_key": "a"
    }


def test_printing_the_settings_shows_no_secret() -> None:
    shown = repr(Settings(nvidia_api_key="SECRET", openai_api_key="SECRET", api_key="SECRET"))
    assert "SECRET" not in shown
    assert "port=8080" in shown
