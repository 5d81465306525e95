"""Alembic: comparing a database with models, as `alembic check` and autogeneration do."""

import os

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

engine = sa.create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))
with engine.connect() as connection:
    options = {"include_schemas": True, "compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    context.get_current_heads()
    metadata = sa.MetaData()
    sa.Table("notes", metadata, sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("body", sa.String(10), server_default="x"))
    compare_metadata(context, metadata)
