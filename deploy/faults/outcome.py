"""Outcome: what one run with a fault showed, and many of them as a row of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

HEADER = """\
| fault | what | called | as promised | named after | over after |
|---|---|---|---|---|---|"""


@dataclass
class Outcome:
    """What went wrong in one run; nothing if nothing did. `named`, `over`: ticks until then.
    `skipped`: why it could not be tried here, "" if it was."""

    problems: list[str] = field(default_factory=list)
    named: int | None = None
    over: int | None = None
    skipped: str = ""


def row(name: str, what: str, called: str, outcomes: Sequence[Outcome]) -> str:
    """One line of the table in docs/reliability.md."""
    tried = [outcome for outcome in outcomes if not outcome.skipped]
    clean = sum(not outcome.problems for outcome in tried)
    named = [o.named for o in tried if o.named is not None]
    over = [o.over for o in tried if o.over is not None]
    worst = [str(max(values)) if values else "-" for values in (named, over)]
    kept = f"{clean}/{len(tried)}" if tried else f"skipped: {outcomes[0].skipped}"
    return f"| `{name}` | {what} | {called} | {kept} | {' | '.join(worst)} |"
