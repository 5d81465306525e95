"""psycopg 3: connecting, prepared statements, pipelines, cursors, copying, the types it looks up."""

import psycopg
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.hstore import register_hstore
from psycopg.types.multirange import MultirangeInfo
from psycopg.types.range import RangeInfo

with psycopg.connect("") as connection:
    for _ in range(7):
        connection.execute("select id, name from sales.customers where id = %s", (1,)).fetchall()
    connection.execute("select 1", prepare=True)
    connection.execute("select %s::text, %b", ("text", 7))
    connection.commit()
    register_hstore(TypeInfo.fetch(connection, "hstore"), connection)
    EnumInfo.fetch(connection, "sales.mood")
    CompositeInfo.fetch(connection, "sales.address")
    RangeInfo.fetch(connection, "sales.price_range")
    MultirangeInfo.fetch(connection, "sales.price_multirange")
    with connection.transaction(), connection.transaction("inner"):
        connection.execute("update public.notes set done = true where id = %s", (1,))
    with connection.cursor() as cursor:
        cursor.executemany("insert into public.notes (body) values (%s) returning id", [("a",), ("b",)], returning=True)
        cursor.execute("select * from sales.orders", binary=True)
        for row in cursor.stream("select generate_series(1, 3)"):
            pass
    with connection.cursor(name="in_the_server", scrollable=True) as cursor:
        cursor.execute("select * from sales.orders where id > %s", (3,))
        cursor.fetchmany(3)
        cursor.scroll(0, mode="absolute")
    with connection.pipeline():
        connection.execute("select 1")
        connection.execute("select count(*) from sales.orders where quantity > %s", (2,))
    with connection.cursor() as cursor:
        with cursor.copy("copy public.notes (body, done) from stdin") as copy:
            copy.write_row(("copied", True))
        with cursor.copy("copy sales.products to stdout (format binary)") as copy:
            for block in copy:
                pass
    connection.commit()
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    connection.read_only = True
    connection.deferrable = True
    connection.execute("select 1")
    connection.commit()
with psycopg.connect("", autocommit=True) as connection:
    connection.execute("listen here")
    connection.execute("select pg_notify('here', 'news')")
    next(iter(connection.notifies(timeout=1, stop_after=1)), None)
    psycopg.ClientCursor(connection).execute("select %s, %s", (1, "bound by the client"))
