"""Views over the warehouse's tables, in SQL that every engine understands.

Belongs here: what people and other gateways read that is no table. Does not belong here: tables
(`domain.tables`), how an engine runs it.
"""

from collections.abc import Mapping

from scout_assets.domain.tables import OFFERS

__all__ = ["VIEWS"]

_OFFER = ", ".join(column.name for column in OFFERS.columns)

VIEWS: Mapping[str, str] = {
    "current_offers": f"""
        SELECT {_OFFER} FROM (
            SELECT *, row_number() OVER (PARTITION BY product_id ORDER BY snapshot DESC) AS recency
            FROM offers
        ) AS ranked WHERE recency = 1
    """,
    # Prices so far are counted to find the last one: no engine but DuckDB ignores nulls in lag().
    "price_history": """
        WITH counted AS (
            SELECT *, count(price) OVER product AS prices,
                count(currency) OVER product AS currencies
            FROM offers WINDOW product AS (PARTITION BY product_id ORDER BY snapshot)
        ),
        filled AS (
            SELECT *,
                max(price) OVER (PARTITION BY product_id, prices) AS last_price,
                max(currency) OVER (PARTITION BY product_id, currencies) AS last_currency
            FROM counted
        ),
        priced AS (
            SELECT *, lag(last_price) OVER product AS previous_price,
                lag(last_currency) OVER product AS previous_currency,
                lead(observed_at) OVER product AS valid_to
            FROM filled WINDOW product AS (PARTITION BY product_id ORDER BY snapshot)
        )
        SELECT o.kind, o.source, o.product_id, p.parent_id, a.title, p.title AS variant, p.sku,
            o.observed_at AS valid_from, o.valid_to, o.price, o.currency, o.compare_at_price,
            o.available, o.unit_price_100g, o.previous_price,
            CASE WHEN o.currency IS NOT DISTINCT FROM o.previous_currency
                THEN CAST(
                    round(100.0 * (o.price - o.previous_price) / nullif(o.previous_price, 0), 2)
                    AS DOUBLE PRECISION
                )
            END AS delta_pct,
            o.change, o.snapshot
        FROM priced o
        LEFT JOIN products p USING (product_id)
        LEFT JOIN parents a USING (parent_id)
    """,
    "source_summary": """
        WITH sources AS (
            SELECT DISTINCT kind, source FROM watermarks
            WHERE table_name IN ('parents', 'products', 'offers')
        ),
        listed AS (
            SELECT source, count(*) FILTER (WHERE gone_at IS NULL) AS parents,
                count(*) FILTER (WHERE gone_at IS NULL AND is_coffee) AS coffees
            FROM parents GROUP BY source
        ),
        variants AS (
            SELECT source, count(*) FILTER (WHERE gone_at IS NULL) AS products,
                count(*) FILTER (WHERE gone_at IS NOT NULL) AS vanished
            FROM products GROUP BY source
        ),
        priced AS (
            SELECT source, count(*) AS offers,
                count(*) FILTER (WHERE change = 'price' AND delta_pct <> 0) AS price_changes
            FROM price_history GROUP BY source
        ),
        refused AS (SELECT source, count(*) AS quarantined FROM quarantine GROUP BY source)
        SELECT kind, source, coalesce(parents, 0) AS parents, coalesce(coffees, 0) AS coffees,
            coalesce(products, 0) AS products, coalesce(vanished, 0) AS vanished,
            coalesce(offers, 0) AS offers, coalesce(price_changes, 0) AS price_changes,
            coalesce(quarantined, 0) AS quarantined
        FROM sources
        LEFT JOIN listed USING (source) LEFT JOIN variants USING (source)
        LEFT JOIN priced USING (source) LEFT JOIN refused USING (source)
        ORDER BY kind, source
    """,
    "supply_summary": """
        WITH sources AS (
            SELECT DISTINCT kind, source FROM watermarks WHERE table_name = 'supplier_items'
        ),
        listed AS (
            SELECT source, count(*) FILTER (WHERE gone_at IS NULL) AS items,
                count(*) FILTER (WHERE gone_at IS NOT NULL) AS vanished
            FROM supplier_items GROUP BY source
        ),
        matched AS (
            SELECT source,
                count(*) FILTER (WHERE status IN ('auto_matched', 'verified_match')) AS linked,
                count(*) FILTER (WHERE status = 'potential_match') AS to_review,
                count(*) FILTER (WHERE status IN ('unmatched', 'rejected')) AS new
            FROM matches GROUP BY source
        ),
        refused AS (SELECT source, count(*) AS quarantined FROM quarantine GROUP BY source)
        SELECT kind, source, coalesce(items, 0) AS items, coalesce(vanished, 0) AS vanished,
            coalesce(linked, 0) AS linked, coalesce(to_review, 0) AS to_review,
            coalesce(new, 0) AS new, coalesce(quarantined, 0) AS quarantined
        FROM sources LEFT JOIN listed USING (source) LEFT JOIN matched USING (source)
        LEFT JOIN refused USING (source)
        ORDER BY kind, source
    """,
}
