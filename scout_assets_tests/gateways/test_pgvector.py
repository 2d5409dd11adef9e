"""Vectors ranked by a real pgvector: the index, how much it finds, what it says when missing."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from scout_assets.domain.failures import BadConfig
from scout_assets.domain.tables import SEARCH_DOCUMENTS
from scout_assets.gateways import pgvector
from scout_assets.gateways.postgres import Postgres
from scout_assets.gateways.postgres_warehouse import PostgresWarehouse
from scout_assets.gateways.warehouse import Batch, Watermark
from scout_assets_tests.postgres import Server

SIZE = 64
ROWS = 4_000
QUERIES = 40


def clustered(rows: int, seed: int) -> NDArray[np.float32]:
    """Vectors of length 1 around fifty centres, as texts about few things are."""
    made = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(50, SIZE))
    near = centres[made.integers(0, 50, rows)] + 0.6 * made.normal(size=(rows, SIZE))
    vectors: NDArray[np.float32] = near.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def batch(vectors: NDArray[np.float32], source: str = "north", snapshot: int = 1) -> Batch:
    rows = [
        {
            "kind": "roaster",
            "source": source,
            "parent_id": f"{source}/{number:05}",
            "text": "",
            "text_hash": str(number),
            "vector": vector.tolist(),
        }
        for number, vector in enumerate(vectors)
    ]
    marks = {source: Watermark(snapshot, "1")}
    return Batch(SEARCH_DOCUMENTS, "roaster", SEARCH_DOCUMENTS.arrow(rows), marks)


def stocked(warehouse: PostgresWarehouse, documents: Batch) -> None:
    """As the asset `vector_index` does it; what is missing is made before the next write."""
    warehouse.write(documents)
    warehouse.prepare_ranking(SEARCH_DOCUMENTS)


def plan(warehouse: PostgresWarehouse, vector: NDArray[np.float32]) -> str:
    """How Postgres runs what `nearest` asks."""
    of_size, as_vector = f'cardinality("vector") = {SIZE}', f'("vector"::vector({SIZE}))'
    with warehouse.reading() as db:
        pgvector._need_extension(db)
        lines = db.execute(
            f"EXPLAIN SELECT parent_id FROM search_documents WHERE {of_size} "
            f"ORDER BY {as_vector} <#> CAST($1 AS vector({SIZE})) LIMIT 1000",
            [f"[{','.join(map(str, vector.tolist()))}]"],
        )
    return "\n".join(line for (line,) in lines)


def found(
    warehouse: PostgresWarehouse,
    vector: NDArray[np.float32],
    passing: str = "true",
    **values: object,
) -> pa.Table:
    with warehouse.reading() as db:
        db.execute("SET LOCAL enable_sort = off")  # by the index, wherever there is one
        db.execute("SET LOCAL enable_seqscan = off")
        db.execute("SET LOCAL work_mem = '64kB'")  # so that a long scan ends early
        return pgvector.nearest(db, SEARCH_DOCUMENTS, vector, passing, values, 10)


@pytest.fixture(scope="module")
def indexed(postgres: Server) -> PostgresWarehouse:
    """A warehouse of so many documents that they are indexed."""
    warehouse = PostgresWarehouse(postgres.schema())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pgvector, "INDEXED_FROM", ROWS)
        stocked(warehouse, batch(clustered(ROWS, 1)))
    return warehouse


def test_the_index_finds_what_comparing_all_finds(indexed: PostgresWarehouse) -> None:
    """recall@10: how many of the ten nearest are among the ten found."""
    vectors, hits = clustered(ROWS, 1), 0
    assert "Index Scan using search_documents_vector_64" in plan(indexed, vectors[0])
    for query in clustered(QUERIES, 2):
        ids = found(indexed, query)["parent_id"].to_pylist()
        exact = np.argsort(-(vectors @ query))[:10]
        hits += len({f"north/{number:05}" for number in exact} & set(ids))
    assert hits / (10 * QUERIES) >= 0.98


def test_likeness_is_the_inner_product(indexed: PostgresWarehouse) -> None:
    vectors, query = clustered(ROWS, 1), clustered(1, 3)[0]
    rows = found(indexed, query).to_pylist()
    expected = {f"north/{place:05}": vectors[place] @ query for place in range(ROWS)}
    for row in rows:
        assert row["likeness"] == pytest.approx(expected[row["parent_id"]], abs=1e-5)


def test_a_filter_that_few_pass_still_fills_the_answer(indexed: PostgresWarehouse) -> None:
    """The index goes on scanning; what passes is as far from the query as can be."""
    vectors, query = clustered(ROWS, 1), clustered(1, 4)[0]
    far = {f"north/{place:05}" for place in np.argsort(vectors @ query)[:10]}
    some = [str(int(one.rpartition("/")[2])) for one in far]
    rows = found(indexed, query, "text_hash || '' = ANY($some)", some=some)
    assert set(rows["parent_id"].to_pylist()) == far


def test_the_index_follows_every_write(postgres_schema: Postgres) -> None:
    warehouse = PostgresWarehouse(postgres_schema)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pgvector, "INDEXED_FROM", 100)
        stocked(warehouse, batch(clustered(100, 1)))
    news = clustered(1, 9)
    warehouse.write(batch(news, "south"))
    assert found(warehouse, news[0])["parent_id"][0].as_py() == "south/00000"
    warehouse.write(batch(clustered(1, 10), "south", snapshot=2))
    best = found(warehouse, news[0]).sort_by([("likeness", "descending")])
    assert best["likeness"][0].as_py() < 0.999, "the old vector is gone"


def test_few_documents_are_compared_one_by_one(postgres_schema: Postgres) -> None:
    warehouse = PostgresWarehouse(postgres_schema)
    stocked(warehouse, batch(clustered(50, 1)))
    assert "Seq Scan" in plan(warehouse, clustered(1, 2)[0])


def test_vectors_of_another_size_are_neither_found_nor_in_the_way(
    indexed: PostgresWarehouse,
) -> None:
    other = np.full((3, 8), 8**-0.5, np.float32)
    indexed.write(batch(other, "elsewhere"))
    assert found(indexed, other[0])["parent_id"].to_pylist()[0].startswith("elsewhere/")
    assert "elsewhere/00000" not in found(indexed, clustered(1, 5)[0])["parent_id"].to_pylist()


def test_the_extension_may_be_in_any_schema(postgres: Server) -> None:
    at = Postgres(postgres.database(), "warehouse")
    at.make_schema("test")
    with at.connection("test") as raw, raw.cursor() as cursor:
        cursor.execute("CREATE SCHEMA extensions")
        cursor.execute("CREATE EXTENSION vector SCHEMA extensions")
        raw.commit()
    warehouse = PostgresWarehouse(at)
    stocked(warehouse, batch(clustered(20, 1)))
    assert found(warehouse, clustered(20, 1)[3])["likeness"].to_pylist()[0] is not None


def hidden(server: Server) -> Postgres:
    """A database whose server knows no extension but its own."""
    at = Postgres(server.database(), "warehouse")
    name = at.url.partition("?")[0].rpartition("/")[2]
    server.execute(f"ALTER DATABASE {name} SET extension_control_path = '/nowhere'")
    return at


def test_without_the_extension_documents_land_and_the_mend_is_told(postgres: Server) -> None:
    warehouse = PostgresWarehouse(hidden(postgres))
    with pytest.raises(BadConfig, match=r"needs the extension `vector` 0\.8 .* is none"):
        stocked(warehouse, batch(clustered(3, 1)))
    assert warehouse.read("search_documents").num_rows == 3, "other assets need no pgvector"
    with pytest.raises(BadConfig, match="superuser: CREATE EXTENSION vector"):
        found(warehouse, clustered(1, 1)[0])


def test_who_may_not_install_it_is_told_who_may(postgres: Server) -> None:
    owner = Postgres(postgres.database(), "warehouse")
    postgres.as_role("guest", "secret")
    with owner.connection("test") as raw, raw.cursor() as cursor:
        cursor.execute("CREATE SCHEMA warehouse AUTHORIZATION guest")
        raw.commit()
    guest = Postgres(owner.url.replace("postgres:@", "guest:secret@"), "warehouse")
    with pytest.raises(BadConfig, match="as its superuser: CREATE EXTENSION vector"):
        stocked(PostgresWarehouse(guest), batch(clustered(3, 1)))
    PostgresWarehouse(owner).prepare_ranking(SEARCH_DOCUMENTS)
    stocked(PostgresWarehouse(guest), batch(clustered(3, 2), snapshot=3))
    assert found(PostgresWarehouse(guest), clustered(1, 1)[0]).num_rows == 3


def test_a_pgvector_that_is_too_old_is_refused(
    postgres_schema: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgvector, "OLDEST", (9, 1))
    with pytest.raises(BadConfig, match=r"9\.1 or newer, and there is 0\.8.*ALTER EXTENSION"):
        PostgresWarehouse(postgres_schema).prepare_ranking(SEARCH_DOCUMENTS)
