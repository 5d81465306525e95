"""psycopg2: connecting, transactions, cursors, copying, the types it looks up."""

import io

import psycopg2
import psycopg2.extras
from psycopg2 import extensions

connection = psycopg2.connect("")
cursor = connection.cursor()
cursor.execute("select id, name from sales.customers where id = %s", (1,))
cursor.fetchall()
psycopg2.extras.register_hstore(connection)
psycopg2.extras.register_uuid(conn_or_curs=connection)
psycopg2.extras.register_inet(connection)
psycopg2.extras.register_composite("sales.address", connection)
psycopg2.extras.register_range("sales.price_range", "PriceRange", connection)
cursor.execute("select home, attributes, token from sales.customers")
cursor.fetchall()
psycopg2.extras.execute_values(cursor, "insert into public.notes (body) values %s", [("a",), ("b",)])
psycopg2.extras.execute_batch(cursor, "update public.notes set done = %s where id = %s", [(True, 1), (True, 2)])
connection.commit()
named = connection.cursor("in_the_server", scrollable=True)
named.execute("select * from sales.orders")
named.fetchmany(3)
named.scroll(-2)
named.close()
connection.rollback()
cursor.copy_to(io.StringIO(), "notes")
cursor.copy_from(io.StringIO("a\tt\n"), "notes", columns=("body", "done"))
cursor.copy_expert("copy (select 1) to stdout with csv header", io.StringIO())
connection.commit()
for level in (
    extensions.ISOLATION_LEVEL_SERIALIZABLE,
    extensions.ISOLATION_LEVEL_REPEATABLE_READ,
    extensions.ISOLATION_LEVEL_READ_UNCOMMITTED,
    extensions.ISOLATION_LEVEL_DEFAULT,
):
    connection.set_isolation_level(level)
    cursor.execute("select 1")
    connection.commit()
connection.set_session(readonly=True, deferrable=True)
cursor.execute("select 1")
connection.rollback()
connection.set_session(readonly=False, autocommit=True)
cursor.execute("select current_setting('transaction_isolation')")
connection.set_client_encoding("LATIN1")
connection.set_client_encoding("UTF8")
cursor.execute("listen here")
cursor.execute("notify here, 'news'")
cursor.execute("unlisten *")
connection.autocommit = False
cursor.execute("select 1")
connection.reset()
connection.close()
