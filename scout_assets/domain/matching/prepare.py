"""Compile the kernels now rather than at the first match: `python -m` this module.

Belongs here: one small match of everything, called after an installation. Does not belong
here: how kernels are compiled (`compiled`).
"""

import polars as pl

from scout_assets.domain.matching.matcher import match

__all__ = ["prepare"]

ROWS = 40
"""Enough for every step of the way to be taken."""


def prepare() -> None:
    """Match a made-up list with itself; the machine code is kept on disk."""
    rows = [
        {"id": str(n), "name": f"Lamp AB-{n} {n} W {n % 7 + 1} x 250 ml 2019", "brand": "Halden",
         "price": float(n + 1), "currency": "EUR", "description": f"A lamp of {n} lumen"}
        for n in range(ROWS)
    ]  # fmt: skip
    table = pl.DataFrame(rows)
    match(table, table).explain("1")


if __name__ == "__main__":
    prepare()
