# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Upstream's names that this fork does not have, so that an import of one can say so and where to find it."""

from __future__ import annotations

from typing import Final

_NAMES: Final[dict[str, str]] = {
    "workflows": """
        AgentExecutor AgentExecutorRequest AgentExecutorResponse Case CheckpointStorage Default Edge EdgeCondition
        EdgeDuplicationError Executor FanInEdgeGroup FanOutEdgeGroup FileCheckpointStorage FunctionExecutor
        GraphConnectivityError InMemoryCheckpointStorage InProcRunnerContext Runner RunnerContext SingleEdgeGroup
        SubWorkflowRequestMessage SubWorkflowResponseMessage SwitchCaseEdgeGroup SwitchCaseEdgeGroupCase
        SwitchCaseEdgeGroupDefault TypeCompatibilityError ValidationTypeEnum Workflow WorkflowAgent WorkflowBuilder
        WorkflowCheckpoint WorkflowContext WorkflowErrorDetails WorkflowEvent WorkflowEventSource WorkflowEventType
        WorkflowExecutor WorkflowMessage WorkflowRunResult WorkflowRunState WorkflowValidationError WorkflowViz
        create_edge_runner executor handler resolve_agent_id response_handler validate_workflow_graph
    """,
    "evaluation": """
        AgentEvalConverter CheckResult ConversationSplit ConversationSplitter EvalItem EvalItemResult EvalNotPassedError
        EvalResults EvalScoreResult Evaluator ExpectedToolCall LocalEvaluator evaluate_agent evaluate_workflow evaluator
        keyword_check tool_call_args_match tool_called_check tool_calls_present
    """,
    "skills": "Skill SkillResource SkillScript SkillScriptRunner SkillsProvider",
    "compaction strategies": """
        CompactionProvider SelectiveToolCallCompactionStrategy SlidingWindowStrategy SummarizationStrategy
        TokenBudgetComposedStrategy ToolResultCompactionStrategy TruncationStrategy annotate_message_groups
        apply_compaction included_messages included_token_count
    """,
}


def sentence_about(what: str, *, of: str | None = None) -> str:
    """What an import of something that is not here answers.

    Args:
        what: The name, or the module.
        of: The part of upstream's package that it belongs to, unless that is itself.
    """
    subject = f"{what} ({of})" if of else what
    return (
        f"{subject} is not part of this fork of agent-framework-core. It is in upstream's agent-framework-core; to "
        "have it together with the MCP layer of this fork, put _mcp.py and _mcp_client/ into upstream's package."
    )


def refuse(name: str, module: str) -> None:
    """Do nothing for a name that upstream does not have either.

    Raises:
        ImportError: Upstream has the name. An AttributeError would not do: `from ... import` replaces its message.
    """
    for part, names in _NAMES.items():
        if name in names.split():
            raise ImportError(sentence_about(name, of=part), name=module)
