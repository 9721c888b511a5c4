# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A tool that runs only when the user approves of the call.

    python samples/approval.py

MCP tools take `approval_mode` too: for all functions of the server, or by name.
"""

from __future__ import annotations

import asyncio

from local.client import chat_client

from agent_framework import Agent, Content, Message, tool


@tool(approval_mode="always_require")
def delete_account(name: str) -> str:
    """Deletes a storage account with all that is in it."""
    print(f"  (delete_account runs, for {name})")
    return f"{name} has been deleted."


def decide(call: Content) -> bool:
    """Where a program would ask its user: this one keeps what is in production."""
    arguments = call.parse_arguments() or {}
    approved = "production" not in str(arguments)
    print(f"  may {call.name} run with {arguments}? {'yes' if approved else 'no'}")
    return approved


async def ask(agent: Agent, question: str) -> None:
    """One question, and an answer to every request for approval that comes of it."""
    session = agent.create_session()  # remembers the call until it has been decided
    print(f"user:  {question}")
    response = await agent.run(question, session=session)
    while requests := response.user_input_requests:
        answers = [
            request.to_function_approval_response(decide(request.function_call))
            for request in requests
            if request.function_call is not None
        ]
        response = await agent.run(Message("user", answers), session=session)
    print(f"agent: {response}")


async def main() -> None:
    """One call is approved, the other one is not."""
    async with chat_client() as client:
        agent = Agent(client=client, instructions="Do what the user says.", tools=[delete_account])
        await ask(agent, 'Please delete the storage account "old-logs".')
        await ask(agent, 'Please delete the storage account "production-data".')


if __name__ == "__main__":
    asyncio.run(main())
