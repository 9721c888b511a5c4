# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""What users write, as a strict type checker sees it. Nothing here is run; `mypy --strict` has to find nothing.

Where a line has to be an error, a `type: ignore` with its code says so: were it none, that comment would be one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel
from typing_extensions import assert_type

# Names side by side, for reading: isort and the formatter would give each a line of its own.
# isort: off
# fmt: off
import agent_framework
from agent_framework import (
    Agent, AgentContext, AgentMiddleware, AgentResponse, AgentResponseUpdate, AgentSession, BaseChatClient, ChatContext,
    ChatMiddleware, ChatOptions, ChatResponse, ChatResponseUpdate, Content, ContextProvider, FunctionInvocationContext,
    FunctionMiddleware, FunctionTool, HistoryProvider, InMemoryHistoryProvider, MCPStdioTool, MCPStreamableHTTPTool,
    MCPWebsocketTool, Message, MiddlewareTermination, ResponseStream, SessionContext, SupportsAgentRun,
    SupportsChatGetResponse, agent_middleware, chat_middleware, function_middleware, normalize_tools, tool,
)
# fmt: on
# isort: on
from agent_framework.exceptions import ChatClientException, MCPConnectionError, MCPTimeoutError, ToolException
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient, OpenAIChatOptions

# Tools...


@tool
def get_weather(city: Annotated[str, "The city."], days: int = 1) -> str:
    """The weather in a city."""
    return f"{city}: {days} days of rain."


@tool(name="delete", approval_mode="always_require", max_invocations=3)
async def delete_file(name: str, ctx: FunctionInvocationContext) -> list[Content]:
    """Delete a file."""
    return [Content.from_text(f"{name} {ctx.kwargs.get('user')} {ctx.session}")]


def plain(x: int) -> int:
    """Twice as much."""
    return 2 * x


declared = FunctionTool(name="declared", description="", input_model={"type": "object", "properties": {}})


class Toolbox:
    """Methods are tools too."""

    @tool
    def look(self, what: str) -> str:
        """Look something up."""
        return what


def tools_of_all_kinds() -> None:
    """Each of them, and all together, where tools are taken."""
    assert_type(get_weather, FunctionTool)
    assert_type(delete_file, FunctionTool)
    assert_type(Toolbox().look, FunctionTool)
    client = OpenAIChatCompletionClient(model="m", api_key="k")
    Agent(client, tools=get_weather)
    Agent(client, tools=plain)
    Agent(client, tools=[get_weather, plain, declared, {"type": "web_search"}, MCPStdioTool("s", "command")])
    assert_type(normalize_tools([plain]), list[Any])
    FunctionTool(description="")  # type: ignore[call-arg]


# Agents...


async def one_run(client: OpenAIChatCompletionClient) -> str:
    """A run with options, tools and values for the tools."""
    agent = Agent(
        client=client,
        name="Helper",
        instructions="Be brief.",
        tools=[get_weather, delete_file],
        default_options={"temperature": 0.5, "max_tokens": 100},
    )
    response = await agent.run(
        [Message("user", ["Hello", Content.from_uri("https://x.invalid/a.png", media_type="image/png")])],
        options={"temperature": 0.1},
        function_invocation_kwargs={"user": "u-1"},
    )
    assert_type(response, AgentResponse[Any])
    assert_type(response.text, str)
    assert_type(response.messages, list[Message])
    assert_type(response.user_input_requests, list[Content])
    if response.usage_details:
        print(response.usage_details.get("total_token_count"))
    return response.text


async def streaming(agent: Agent) -> str:
    """Updates as they come, and what they amount to."""
    stream = agent.run("Hello?", stream=True)
    _ = assert_type(stream, ResponseStream[AgentResponseUpdate, AgentResponse[Any]])
    async for update in stream:
        assert_type(update, AgentResponseUpdate)
        print(update.text, end="")
    final = await stream.get_final_response()
    assert_type(final, AgentResponse[Any])
    return final.text


async def approval(agent: Agent, session: AgentSession) -> AgentResponse[Any]:
    """The user is asked before a call."""
    response = await agent.run("Delete a!", session=session)
    answers = [request.to_function_approval_response(approved=True) for request in response.user_input_requests]
    return await agent.run(Message("user", answers), session=session)


async def sessions(agent: Agent) -> None:
    """A conversation that is stored and taken up again."""
    session = agent.create_session()
    assert_type(session, AgentSession)
    await agent.run("My name is Ann.", session=session)
    stored: dict[str, Any] = session.to_dict()
    await agent.run("What is my name?", session=AgentSession.from_dict(stored))
    await agent.run("And now?", session=agent.get_session("service-1"))


class Forecast(BaseModel):
    """A structured answer."""

    city: str
    degrees: int


async def structured_output(agent: Agent, client: OpenAIChatClient) -> int:
    """The type of the value is that of the format."""
    options: ChatOptions[Forecast] = {"response_format": Forecast}
    response = await agent.run("Oslo?", options=options)
    assert_type(response, AgentResponse[Forecast])
    assert_type(response.value, Forecast | None)
    chat = await client.get_response([Message("user", ["Oslo?"])], options={"response_format": Forecast})
    return response.value.degrees if response.value else len(chat.text)


async def agents_of_agents(client: SupportsChatGetResponse) -> None:
    """An agent as a tool, and as an MCP server."""
    inner = Agent(client, name="Inner", description="Knows.")
    outer = Agent(client, tools=inner.as_tool(arg_name="question", propagate_session=True))
    anything: SupportsAgentRun = outer
    print(anything.name, outer.as_mcp_server(server_name="Outer", version="1").name)


# MCP...


async def mcp_tools(client: OpenAIChatCompletionClient) -> None:
    """All transports; failures by type."""
    try:
        async with (
            MCPStreamableHTTPTool(
                name="docs",
                url="https://docs.invalid/mcp",
                allowed_tools=["search"],
                approval_mode={"always_require_approval": ["search"]},
                header_provider=lambda kwargs: {"authorization": str(kwargs.get("token"))},
                tool_name_prefix="docs",
                request_timeout=30,
            ) as docs,
            MCPStdioTool(name="local", command="server", args=["--x"], env={"A": "b"}) as local,
            MCPWebsocketTool(name="ws", url="wss://ws.invalid") as ws,
            Agent(client, tools=[docs, local]) as agent,
        ):
            assert_type(docs, MCPStreamableHTTPTool)
            assert_type(docs.functions, list[FunctionTool])
            print(await agent.run("Hello?", tools=ws))
            result = await docs.call_tool("search", query="x")
            assert_type(await docs.call_tool("search", {"query": "x"}, _timeout=3), str | list[Content])
            print(result if isinstance(result, str) else [content.text for content in result])
            await docs.connect(reset=True)
            await docs.close()
    except MCPTimeoutError as error:
        print(error.server, error.phase, error.timeout)
    except MCPConnectionError as error:
        print(error.sent)
    except ToolException as error:
        print(error)
    except ChatClientException as error:
        print(error, error.__cause__)


# Middleware...


@agent_middleware
async def log_runs(context: AgentContext, call_next: Callable[[], Awaitable[None]]) -> None:
    """Around runs."""
    print(context.agent.name, len(context.messages), context.stream)
    await call_next()
    print(context.result)


@function_middleware
async def log_functions(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
    """Around function calls."""
    print(context.function.name, context.arguments)
    await call_next()


@chat_middleware
async def refuse(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
    """Around model calls."""
    raise MiddlewareTermination(result=ChatResponse(messages=[Message("assistant", ["No."])]))


class Timing(AgentMiddleware, FunctionMiddleware):  # type: ignore[misc]
    """One class wraps one kind."""


class CountModelCalls(ChatMiddleware):
    """Middleware with a state."""

    def __init__(self) -> None:
        self.calls = 0

    async def process(self, context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Count."""
        self.calls += 1
        await call_next()


async def middleware(client: OpenAIChatClient) -> None:
    """All kinds in one list."""
    agent = Agent(client, middleware=[log_runs, log_functions, refuse, CountModelCalls()])
    await agent.run("Hello?", middleware=[log_runs])
    OpenAIChatClient(model="m", api_key="k", middleware=[refuse, log_functions])


# Context and history...


class Clock(ContextProvider):
    """Adds an instruction."""

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Tell the time."""
        context.extend_instructions(self.source_id, "It is noon.")
        context.extend_messages(self, [Message("user", ["Before."])])


class ListHistory(HistoryProvider):
    """A history of one's own."""

    def __init__(self) -> None:
        super().__init__("list", store_context_messages=True)
        self.kept: list[Message] = []

    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """All."""
        return self.kept

    async def save_messages(
        self, session_id: str | None, messages: Sequence[Message], *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Append."""
        self.kept.extend(messages)


def providers(client: OpenAIChatClient) -> Agent[OpenAIChatOptions]:
    """An agent with all of them."""
    return Agent(client, context_providers=[Clock("clock"), ListHistory(), InMemoryHistoryProvider()])


# Clients...


class EchoClient(BaseChatClient):
    """A model client of one's own."""

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        return self._build_response_stream(self._updates()) if stream else self._answer(messages)

    async def _answer(self, messages: Sequence[Message]) -> ChatResponse:
        return ChatResponse(messages=[Message("assistant", [messages[-1].text])])

    async def _updates(self) -> AsyncIterator[ChatResponseUpdate]:
        yield ChatResponseUpdate(contents=[Content.from_text("Hi.")], role="assistant")


async def clients(client: SupportsChatGetResponse) -> None:
    """A client without an agent."""
    response = await client.get_response([Message("user", ["Hello?"])], options={"tools": [get_weather]})
    assert_type(response, ChatResponse[Any])
    stream = client.get_response([Message("user", ["Hello?"])], stream=True)
    _ = assert_type(stream, ResponseStream[ChatResponseUpdate, ChatResponse[Any]])
    print([update.text async for update in stream], EchoClient().as_agent(name="Echo").name)


# What is not there...


def errors() -> None:
    """A type checker sees these; an import of the second says at run time where it is."""
    print(agent_framework.NoSuchName)  # type: ignore[attr-defined]
    print(agent_framework.WorkflowBuilder)  # type: ignore[attr-defined]
