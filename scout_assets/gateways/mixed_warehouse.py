"""A warehouse of which some tables are kept in another place, even by another engine.

Belongs here: which place has which table. Does not belong here: anything an engine does.

Whoever reads or writes one table finds it; whoever asks in SQL asks the main place, where all
tables of one query must be (`Table.group`).
"""

import contextlib
from collections.abc import Mapping

from scout_assets.domain.tables import Table
from scout_assets.gateways.warehouse import Batch, Connection, Nearest, Warehouse, Watermark

__all__ = ["MixedWarehouse"]


class MixedWarehouse(Warehouse):
    """`main`, but for the tables that were `moved` elsewhere, by name."""

    def __init__(self, main: Warehouse, moved: Mapping[str, Warehouse]) -> None:
        self.main = main
        self.moved = moved

    @property
    def place(self) -> str:
        others = (
            f"{', '.join(name for name, at in self.moved.items() if at is part)} at {part.place}"
            for part in self.parts[1:]
        )
        return "; ".join([self.main.place, *others])

    @property
    def nearest(self) -> Nearest | None:  # type: ignore[override]  # of an instance, not a class
        return self.main.nearest

    def prepare_ranking(self, table: Table) -> None:
        self.at(table.name).prepare_ranking(table)

    @property
    def parts(self) -> tuple[Warehouse, ...]:
        return (self.main, *dict.fromkeys(self.moved.values()))

    def at(self, relation: str) -> Warehouse:
        return self.moved.get(relation, self.main)

    def exists(self) -> bool:
        return any(part.exists() for part in self.parts)

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        return self.main.reading()

    def writing(self) -> contextlib.AbstractContextManager[Connection]:
        return self.main.writing()

    def _claimed(self, db: Connection, batch: Batch) -> dict[str, Watermark]:
        return self.at(batch.table.name)._claimed(db, batch)
