# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""Which scenarios of the conformance suite client.py does not pass, why, and what a run means in view of that.

All of these hang on the SDK: `scripts/conformance --client sdk` shows that its own client does not pass them either.
"""

from __future__ import annotations

from typing import NamedTuple


class Listed(NamedTuple):
    """A scenario that is known not to pass.

    Attributes:
        reason: Why.
        checks: The ids of the checks that fail, and no others may; none where nothing is checked at all.
    """

    reason: str
    checks: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What came of one run of a scenario.

    Attributes:
        succeeded: Whether the suite says so: no failed check, no warning, no wrong exit code of the client.
        passed: How many checks passed.
        failed: The ids of the checks that failed or warned.
    """

    succeeded: bool
    passed: int
    failed: frozenset[str]


PROTOCOL_2026 = "needs protocol 2026-07-28, which is without sessions and which SDK 1.x does not speak"
ISSUER_PARAMETER = "RFC 9207: SDK 1.x takes code and state from the redirect, and has no place for its `iss`"
DPOP = "DPoP (SEP-1932, an extension): SDK 1.x has no such proofs"
SKILLS = "skills (SEP-2640, an extension): nothing is checked unless a client asks for them, which SDK 1.x cannot"
DPOP_CHECKS = (
    "sep-1932-client-token-request-proof",
    "sep-1932-client-dpop-auth-scheme",
    "sep-1932-client-fresh-proof",
)

EXPECTED_FAILURES: dict[str, dict[str, Listed]] = {
    "0.1.16": {
        "auth/2025-03-26-oauth-metadata-backcompat": Listed(
            "this release's authorization server names another issuer than the one its metadata was asked of, which "
            "the SDK refuses (RFC 8414, 3.3); the newest release's does not, and the scenario passes there",
            ("client-registration", "authorization-request", "token-request"),
        ),
    },
    "0.2.0-alpha.12": {
        "auth/metadata-var2": Listed(
            "SDK 1.x sends the resource as its URL type prints it, with a slash after a bare host",
            ("resource-parameter-matches-prm",),
        ),
        "auth/iss-supported-missing": Listed(ISSUER_PARAMETER, ("sep-2468-client-reject-missing-iss",)),
        "auth/iss-wrong-issuer": Listed(ISSUER_PARAMETER, ("sep-2468-client-compare-iss-supported",)),
        "auth/iss-unexpected": Listed(ISSUER_PARAMETER, ("sep-2468-client-compare-iss-unadvertised",)),
        "auth/iss-normalized": Listed(ISSUER_PARAMETER, ("sep-2468-client-no-normalization",)),
        "auth/dpop": Listed(DPOP, DPOP_CHECKS),
        "auth/dpop-nonce": Listed(DPOP, (*DPOP_CHECKS, "sep-1932-client-as-nonce", "sep-1932-client-rs-nonce")),
        "request-metadata": Listed(
            PROTOCOL_2026,
            (
                "sep-2575-http-client-sends-version-header",
                "sep-2575-client-populates-meta",
                "sep-2575-client-sends-client-info",
                "sep-2575-client-retry-supported-version",
            ),
        ),
        "sep-2322-client-request-state": Listed(
            PROTOCOL_2026,
            (
                "sep-2322-client-request-state-echoed",
                "sep-2322-client-jsonrpc-id-different",
                "sep-2322-client-no-state-omitted",
                "sep-2322-client-parallel-isolation",
                "sep-2322-default-result-type-complete",
            ),
        ),
        "http-standard-headers": Listed(PROTOCOL_2026, ("sep-2243-client-includes-standard-headers",)),
        "http-custom-headers": Listed(
            PROTOCOL_2026,
            (
                "sep-2243-client-supports-custom-headers",
                "sep-2243-client-mirrors-designated-params",
                "sep-2243-client-encode-values",
                "sep-2243-client-base64-unsafe",
                "sep-2243-client-omit-null",
            ),
        ),
        "http-invalid-tool-headers": Listed(
            PROTOCOL_2026,
            ("sep-2243-invalid-tool-tools-list-gate", "sep-2243-client-reject-invalid-tool"),
        ),
        "sep-2640-client-no-prefetch": Listed(SKILLS),
        "sep-2640-client-verify-digest": Listed(SKILLS),
        "sep-2640-client-verify-size": Listed(SKILLS),
        "sep-2640-client-verify-frontmatter": Listed(SKILLS),
    },
}
"""By release of the suite, then by scenario."""

GOOD = frozenset(["passed", "listed", "the SDK fails too", "the SDK fails, we pass"])
"""The verdicts that nobody has to look into."""


def judge(outcome: Outcome, listed: Listed | None) -> str:
    """What a run with our client means."""
    if outcome.succeeded and outcome.passed:
        return "passed" if listed is None else "PASSED, ALTHOUGH LISTED"
    if listed is None:
        return "FAILED"
    # Where no check is listed, nothing is checked, and the suite finds nothing wrong unless the client breaks.
    as_listed = outcome.failed == frozenset(listed.checks) and outcome.succeeded == (not listed.checks)
    return "listed" if as_listed else "FAILED OTHERWISE THAN LISTED"


def judge_sdk(outcome: Outcome, listed: Listed | None) -> str:
    """What a run with the SDK's own client means for ours: whatever is listed has to fail here too."""
    if outcome.succeeded and outcome.passed:
        return "passed" if listed is None else "PASSED: THE FAILURE IS OURS"
    return "the SDK fails, we pass" if listed is None else "the SDK fails too"
