# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""A session: what makes a conversation of single runs. It can be put away as JSON and taken up again.

python samples/sessions.py
"""

from __future__ import annotations

import asyncio
import json

from local.client import chat_client

from agent_framework import Agent, AgentSession


async def main() -> None:
    """Asks for a name without a session, with one, and with one that has been stored."""
    async with chat_client() as client:
        agent = Agent(client=client, instructions="You are a polite receptionist.")
        session = agent.create_session()

        print("In a session, runs know of each other:")
        print("  agent:", await agent.run("My name is Ada.", session=session))
        print("  agent:", await agent.run("What is my name?", session=session))

        print("Without one, each run stands alone:")
        print("  agent:", await agent.run("What is my name?"))

        stored = json.dumps(session.to_dict())
        print(f"Stored as {len(stored)} characters of JSON, and taken up by another agent:")
        restored = AgentSession.from_dict(json.loads(stored))
        other = Agent(client=client, instructions="You are a polite receptionist.")
        print("  agent:", await other.run("What is my name?", session=restored))


if __name__ == "__main__":
    asyncio.run(main())
