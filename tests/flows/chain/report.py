"""What the chain's tests found, as a table at the end of the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.flows.chain.proof import Verdict
from tests.runner.tables import show_at_the_end


@dataclass
class End:
    """One target: what was compared."""

    tables: int = 0
    rows: int = 0
    values: int = 0
    equal: int = 0


@dataclass
class Report:
    ends: dict[str, End] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, verdict: Verdict) -> None:
        end = self.ends.setdefault(name, End())
        end.tables += 1
        end.rows += verdict.rows
        end.values += verdict.values
        end.equal += verdict.equal

    def merge(self, other: Report) -> None:
        for name, end in other.ends.items():
            own = self.ends.setdefault(name, End())
            own.tables += end.tables
            own.rows += end.rows
            own.values += end.values
            own.equal += end.equal
        self.notes += other.notes

    def lines(self) -> list[str]:
        if not self.ends:
            return []
        head = f"{'the chain':<52}{'tables':>7}{'rows':>11}{'values':>12}{'proven equal':>14}"
        text = ["", head, "-" * len(head)]
        for name, end in self.ends.items():
            equal = f"{end.equal} of {end.tables}"
            text.append(f"{name:<52}{end.tables:>7}{end.rows:>11,}{end.values:>12,}{equal:>14}")
        return [*text, *self.notes]


REPORT = show_at_the_end("chain", Report())
