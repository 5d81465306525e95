"""pg8000: both of its interfaces."""

import os

import pg8000.dbapi
import pg8000.native

where = {"user": "postgres", "host": "127.0.0.1", "port": int(os.environ["PGPORT"]), "database": "sample"}
with pg8000.native.Connection(**where) as connection:
    connection.run("select * from sales.orders where id = :id", id=3)
    statement = connection.prepare("select :v + 1")
    statement.run(v=2)
    statement.close()
connection = pg8000.dbapi.connect(**where)
cursor = connection.cursor()
cursor.execute("insert into public.notes (body) values (%s)", ("a",))
cursor.execute("select * from public.notes")
connection.commit()
connection.autocommit = True
cursor.execute("select 1")
connection.close()
