"""SQLAlchemy: what connecting asks, every method of its inspector, reflection, isolation levels."""

import asyncio
import sys

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

driver = sys.argv[1]
url = f"postgresql+{driver}://postgres:postgres@127.0.0.1:{sys.argv[2]}/sample"


def work(connection):
    """Everything with two of the drivers; the others ask the same, in their own words."""
    if driver in ("psycopg2", "asyncpg"):
        inspect(connection)
    notes = sa.Table("notes", sa.MetaData(), autoload_with=connection)
    connection.execute(notes.insert().values(body="a").returning(notes.c.id)).all()
    connection.execute(notes.update().where(notes.c.id == 1).values(done=True))
    connection.execute(sa.select(sa.cast(notes.c.id, sa.String), sa.func.lower(notes.c.body))).all()
    with connection.begin_nested():
        connection.execute(sa.text("select 1"))
    connection.commit()


def inspect(connection):
    inspector = sa.inspect(connection)
    inspector.get_schema_names()
    inspector.get_sequence_names("sales")
    inspector.get_temp_table_names()
    inspector.get_temp_view_names()
    inspector.get_enums("*")
    inspector.get_domains("*")
    inspector.default_schema_name
    for schema in ("sales", "Odd Names", None):
        inspector.get_view_names(schema)
        inspector.get_materialized_view_names(schema)
        inspector.get_foreign_table_names(schema)
        kind = sa.engine.reflection.ObjectKind.ANY
        for method in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints", "table_comment", "table_options"):
            getattr(inspector, f"get_multi_{method}")(schema=schema, kind=kind)
        for table in inspector.get_table_names(schema)[:2]:
            inspector.has_table(table, schema)
            inspector.get_columns(table, schema)
            inspector.get_table_oid(table, schema)
            inspector.get_indexes(table, schema)
        for view in inspector.get_view_names(schema):
            inspector.get_view_definition(view, schema)
    inspector.has_schema("sales")
    inspector.has_sequence("tickets", "sales")
    inspector.has_index("orders", "orders_pkey", "sales")
    metadata = sa.MetaData()
    metadata.reflect(connection, schema="sales", views=True, resolve_fks=True)
    orders = metadata.tables["sales.orders"]
    connection.execute(sa.select(sa.func.count()).select_from(orders)).scalar()
    connection.execute(sa.select(orders).where(orders.c.id.in_([1, 2, 3])).limit(2).with_for_update()).all()
    metadata.create_all(connection)


def levels(engine):
    for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED", "AUTOCOMMIT"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            connection.execute(sa.text("select 1"))
            connection.get_isolation_level()
    with engine.connect().execution_options(postgresql_readonly=True, postgresql_deferrable=True) as connection:
        connection.execute(sa.text("select 1"))


async def asynchronously():
    engine = create_async_engine(url, pool_pre_ping=True)
    async with engine.connect() as connection:
        await connection.run_sync(work)
    async with engine.connect() as connection:
        await connection.execute(sa.text("select 1"))
    await engine.dispose()


if driver == "asyncpg":
    asyncio.run(asynchronously())
else:
    engine = sa.create_engine(url, pool_pre_ping=True)
    with engine.connect() as connection:
        work(connection)
    levels(engine)
    with engine.connect().execution_options(stream_results=True) as connection:
        connection.execute(sa.text("select * from sales.orders")).fetchmany(3)
    engine.dispose()
