"""Alembic's entry point: runs the migrations on the engine it is handed."""

import sqlalchemy as sa
from alembic import context

from scout_assets.gateways.ledger import metadata

engine: sa.Engine = context.config.attributes["engine"]

with engine.connect() as connection:
    if connection.dialect.name == "sqlite":
        # pysqlite begins late; an early write lock makes a second process wait its turn.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()
    connection.commit()
