"""What the crash suite counts, for the table at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.crash.invariants import Damage
from tests.runner.tables import show_at_the_end


@dataclass
class Row:
    scenarios: int = 0
    kills: int = 0
    damage: Damage = field(default_factory=Damage)


class Figures:
    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._mutants: dict[str, bool] = {}

    def note(self, kind: str, kills: int, damage: Damage) -> None:
        row = self._rows.setdefault(kind, Row())
        row.scenarios += 1
        row.kills += kills
        row.damage.add(damage)

    def merge(self, other: Figures) -> None:
        for kind, row in other._rows.items():
            own = self._rows.setdefault(kind, Row())
            own.scenarios += row.scenarios
            own.kills += row.kills
            own.damage.add(row.damage)
        self._mutants |= other._mutants

    def mutant(self, name: str, caught: bool) -> None:
        self._mutants[name] = caught

    def lines(self) -> list[str]:
        if not self._rows and not self._mutants:
            return []
        head = f"{'crash suite':<34}{'scenarios':>10}{'kills':>7}{'lost':>6}{'doubled':>9}"
        head += f"{'ahead':>7}{'orphans':>9}{'breaks':>8}"
        text = ["", head, "-" * len(head)]
        for kind, row in sorted(self._rows.items()):
            d = row.damage
            text.append(
                f"{kind:<34}{row.scenarios:>10}{row.kills:>7}{d.lost:>6}{d.duplicated:>9}{d.ahead:>7}"
                f"{d.orphans:>9}{len(d.breaks):>8}"
            )
        kills = sum(row.kills for row in self._rows.values())
        if kills:
            rate = f"{min(100, 300 / kills):.2f} % (95 %)"
            text.append(f"{kills} kills; were there no failure, its rate would be below {rate}")
        if self._mutants:
            caught = sum(self._mutants.values())
            text.append(f"mutants caught: {caught}/{len(self._mutants)}")
        return text


FIGURES = show_at_the_end("crash", Figures())
