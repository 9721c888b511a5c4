# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Doors to provider packages, and what an import of something answers that is not here."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import agent_framework
from agent_framework._lazy_namespace import lazy_namespace

ROOT = Path(agent_framework.__file__).parent
DOORS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if "lazy_namespace" in path.read_text())


def door(name: str) -> Any:
    return importlib.import_module(f"agent_framework.{name}")


def test_there_is_a_door_for_each_provider() -> None:
    assert [
        *("a2a", "ag_ui", "amazon", "anthropic", "azure", "chatkit", "foundry", "github", "google", "mem0"),
        *("microsoft", "ollama", "openai", "redis"),
    ] == DOORS


@pytest.mark.parametrize("name", DOORS)
def test_a_door_knows_its_names_without_any_package(name: str) -> None:
    assert dir(door(name)) == sorted(door(name).__all__)
    with pytest.raises(AttributeError, match=f"'agent_framework.{name}' has no attribute 'NoSuchName'"):
        _ = door(name).NoSuchName


@pytest.mark.parametrize("name", DOORS)
def test_every_name_leads_to_its_package_or_says_which_one_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Packages:
        """Finds no package of a provider, whatever is installed."""

        @staticmethod
        def find_spec(module: str, *args: Any) -> None:
            if module.startswith("agent_framework_"):
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    for module in [one for one in sys.modules if one.startswith("agent_framework_")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Packages, *sys.meta_path])
    for wanted in door(name).__all__:
        with pytest.raises(ModuleNotFoundError, match=rf"{name}\.{wanted} is in .*: pip install agent-framework-") as e:
            getattr(door(name), wanted)
        assert str(e.value).rpartition(" ")[2].replace("-", "_") == e.value.name


def test_names_of_one_door_may_come_from_several_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, names in {"first_package": ["A", "B"], "second_package": ["C"]}.items():
        module = types.ModuleType(package)
        vars(module).update({name: f"{package}.{name}" for name in names})
        monkeypatch.setitem(sys.modules, package, module)
    get, names_of_door = lazy_namespace("a.door", ["A", "B", "C"], "first-package", {"second-package": ["C"]})
    assert [get(name) for name in names_of_door()] == ["first_package.A", "first_package.B", "second_package.C"]


def test_a_package_that_lacks_something_itself_says_what(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "half_package.py").write_text("import something_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    get, _ = lazy_namespace("a.door", ["A"], "half-package")
    with pytest.raises(ModuleNotFoundError, match="something_that_is_missing"):
        get("A")


def test_the_lab_takes_modules_of_other_distributions(tmp_path: Path) -> None:
    folder = tmp_path / "agent_framework" / "lab"
    folder.mkdir(parents=True)
    (folder / "an_experiment.py").write_text("VALUE = 1\n")
    code = "import agent_framework.lab.an_experiment as one; print(one.VALUE)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT.parent}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


# What is not here...


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("from agent_framework import WorkflowBuilder", r"WorkflowBuilder \(workflows\)"),
        ("from agent_framework import executor, handler", r"executor \(workflows\)"),
        ("from agent_framework import SkillsProvider", r"SkillsProvider \(skills\)"),
        ("from agent_framework import evaluate_agent", r"evaluate_agent \(evaluation\)"),
        ("from agent_framework import SlidingWindowStrategy", r"SlidingWindowStrategy \(compaction strategies\)"),
        ("from agent_framework._compaction import annotate_message_groups", r"annotate_message_groups \(compaction"),
        ("from agent_framework._evaluation import LocalEvaluator", r"LocalEvaluator \(evaluation\)"),
        ("import agent_framework.devui", r"agent_framework\.devui \(DevUI\)"),
        ("from agent_framework.devui import serve", r"agent_framework\.devui \(DevUI\)"),
        ("from agent_framework.orchestrations import HandoffBuilder", r"agent_framework\.orchestrations"),
        ("from agent_framework.declarative import AgentFactory", r"agent_framework\.declarative"),
        ("from agent_framework._workflows._executor import Executor", r"agent_framework\._workflows \(workflows\)"),
        ("from agent_framework._skills import Skill", r"agent_framework\._skills \(skills\)"),
    ],
)
def test_what_is_left_out_says_so_and_where_it_is(statement: str, part: str) -> None:
    wanted = rf"^{part}.* is not part of this fork .*upstream's agent-framework-core.*_mcp\.py and _mcp_client/"
    with pytest.raises(ImportError, match=wanted):
        exec(statement, {})


def test_a_name_that_nobody_has_is_an_ordinary_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from agent_framework import Nonsense", {})
    assert not hasattr(agent_framework, "nonsense")


def test_every_public_name_is_there_and_can_be_imported() -> None:
    assert [name for name in agent_framework.__all__ if not hasattr(agent_framework, name)] == []
    assert len(set(agent_framework.__all__)) == len(agent_framework.__all__)


def test_evaluation_can_be_named_in_signatures_and_not_used() -> None:
    from agent_framework._evaluation import AgentEvalConverter, ConversationSplit, EvalItem

    assert ConversationSplit("last_turn") is ConversationSplit.LAST_TURN
    assert not isinstance({}, EvalItem)
    with pytest.raises(NotImplementedError, match="not part of this fork"):
        EvalItem()
    with pytest.raises(AttributeError, match="not part of this fork"):
        AgentEvalConverter.convert_messages([])


def test_stages_of_features_can_be_read() -> None:
    from agent_framework._feature_stage import ExperimentalFeature, experimental

    @experimental(feature_id=ExperimentalFeature.EVALS)
    def new() -> None: ...

    assert vars(new) == {"__feature_stage__": "experimental", "__feature_id__": "EVALS"}


def test_four_characters_are_guessed_to_be_a_token() -> None:
    tokenizer = agent_framework.CharacterEstimatorTokenizer()
    assert [tokenizer.count_tokens(text) for text in ("", "four", "four more")] == [1, 1, 2]
    assert isinstance(tokenizer, agent_framework.TokenizerProtocol)
