# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from typing_extensions import TypedDict

from agent_framework._settings import SecretString, load_settings
from agent_framework.exceptions import SettingNotFoundError


class Settings(TypedDict, total=False):
    api_key: SecretString | None
    base_url: str | None
    retries: int | None
    delay: float | None
    verbose: bool | None
    mode: Literal["fast", "slow"] | None
    source: Callable[[], str] | str | None


def load(**options: Any) -> dict[str, Any]:
    return dict(load_settings(Settings, env_prefix="LAB_", **options))


def test_every_field_is_there_and_none_without_a_value() -> None:
    assert load() == dict.fromkeys(Settings.__annotations__)


def test_an_argument_comes_before_the_file_and_the_file_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "lab.env"
    file.write_text('LAB_BASE_URL="from file"\nLAB_MODE=fast\nLAB_VERBOSE\nOTHER=1\n')
    monkeypatch.setenv("LAB_BASE_URL", "from environment")
    monkeypatch.setenv("LAB_MODE", "slow")
    monkeypatch.setenv("LAB_RETRIES", "3")

    settings = load(env_file_path=str(file), base_url="from argument", mode=None)

    assert settings["base_url"] == "from argument"
    assert settings["mode"] == "fast"
    assert settings["retries"] == 3
    assert settings["verbose"] is None


def test_the_file_is_read_only_when_it_is_named_and_does_not_change_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("LAB_BASE_URL=caf\xe9".encode("latin-1"))

    assert load()["base_url"] is None
    assert load(env_file_path=".env", env_file_encoding="latin-1")["base_url"] == "café"
    assert load()["base_url"] is None


def test_a_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.env"):
        load(env_file_path="nowhere.env")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RETRIES", "3", 3),
        ("DELAY", "1.5", 1.5),
        ("VERBOSE", "Yes", True),
        ("VERBOSE", "off", False),
        ("VERBOSE", "", None),
        ("BASE_URL", "", ""),
        ("MODE", "fast", "fast"),
    ],
)
def test_text_becomes_what_the_field_says(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    monkeypatch.setenv(f"LAB_{name}", text)

    assert load()[name.lower()] == value


@pytest.mark.parametrize("name", ["RETRIES", "DELAY", "VERBOSE"])
def test_text_that_is_no_such_thing_is_an_error_that_names_the_variable_only(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"LAB_{name}", "sk-secret")

    with pytest.raises(ValueError, match=f"LAB_{name}") as caught:
        load()
    assert "sk-secret" not in str(caught.value)


def test_an_argument_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(ValueError, match="'retries' must be int, not str"):
        load(retries="3")
    with pytest.raises(ValueError, match="'mode'"):
        load(mode="medium")
    assert load(delay=3)["delay"] == 3
    assert load(unknown=1) == load()


def test_a_callable_may_stand_for_a_value() -> None:
    def key() -> str:
        return "k"

    assert load(api_key=key)["api_key"] is key


def test_a_secret_does_not_show_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEY", "sk-secret")

    settings = load()

    assert settings["api_key"] == "sk-secret"
    assert settings["api_key"].get_secret_value() == "sk-secret"
    assert type(settings["api_key"].get_secret_value()) is str
    assert "sk-secret" not in repr(settings)
    assert type(load(api_key="other")["api_key"]) is SecretString


def test_a_required_setting_that_is_missing_is_named_with_its_variable() -> None:
    with pytest.raises(SettingNotFoundError, match=r"'api_key'.*LAB_API_KEY"):
        load(required_fields=["base_url", "api_key"], base_url="x")


def test_of_alternatives_exactly_one_must_be_given() -> None:
    alternatives = [("base_url", "api_key")]

    assert load(required_fields=alternatives, api_key="k")["api_key"] == "k"
    with pytest.raises(SettingNotFoundError, match="none is set"):
        load(required_fields=alternatives)
    with pytest.raises(SettingNotFoundError, match="2 are set"):
        load(required_fields=alternatives, api_key="k", base_url="u")
