"""Reading a source's stored snapshots anew, without asking the source.

Belongs here: the one call. Does not belong here: which reader a source has (`readers`),
folding (`catchup`), writing (`warehouse`).
"""

from scout_assets.gateways.catchup import catch_up
from scout_assets.gateways.home import Home
from scout_assets.gateways.readers import reader_of, tables_of

__all__ = ["replay"]


def replay(home: Home, key: str) -> None:
    """Fold all snapshots of one source anew. Raises BadConfig for an unknown key."""
    source = home.ledger.source(key).source
    read = catch_up(
        source.kind,
        [source],
        tables_of(source.kind),
        home.ledger,
        home.snapshots,
        home.warehouse,
        reader_of(source.kind, home),
        rewrite=True,
    )
    for batch in read.batches.values():
        if batch.watermarks:
            home.warehouse.write(batch)
