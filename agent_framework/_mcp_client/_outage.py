# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""How calls treat a server that stays away: each dials as soon as that makes sense, and no call waits long.

A call cannot know that the server is back without asking, so during an outage a call dials, and the first one after it
works. Two limits keep that cheap. Dials that fail have growing pauses between them, and who comes within a pause waits
for its end and shares the dial that follows. And where the last dial got no answer at all, a call waits for the next
one only for a moment; the dial goes on by itself for whoever comes later.
"""

from __future__ import annotations

FIRST_PAUSE = 0.05
"""Between the second and the third dial, in seconds; the second one may follow the first at once."""

LONGEST_PAUSE = 0.25
"""Between any two dials, in seconds: a person does not notice it, and a server bears four dials a second."""

PATIENCE = 1.0
"""How long a call, or whoever enters an optional tool, waits for a dial when the one before got no answer within its
whole deadline, in seconds: many times what a handshake takes, and short enough for what will probably fail."""


class Outage:
    """What is known of a server that could not be reached."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = 0.0
        self._unanswered = False

    def note_failure(self, now: float, *, unanswered: bool) -> None:
        """A dial has failed.

        Args:
            now: The time by a clock that never goes back, in seconds.
            unanswered: Whether its deadline ended it.
        """
        self._failures += 1
        self._failed_at = now
        self._unanswered = unanswered

    def note_return(self) -> None:
        """A dial has succeeded."""
        self._failures = 0
        self._unanswered = False

    def pause(self, now: float) -> float:
        """How long the next dial has to wait, in seconds."""
        if self._failures < 2:
            return 0.0
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 2, 8))
        return max(0.0, self._failed_at + pause - now)

    @property
    def patience(self) -> float | None:
        """How long a call waits for a dial, in seconds; None as long as the dial takes."""
        return PATIENCE if self._unanswered else None
