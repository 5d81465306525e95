"""peewee: reading a schema, and its models."""

import os

import peewee
from playhouse.reflection import Introspector, generate_models

database = peewee.PostgresqlDatabase("sample", user="postgres", host="127.0.0.1", port=int(os.environ["PGPORT"]))
for schema in ("sales", "public"):
    Introspector.from_database(database, schema=schema).introspect()
    for table in database.get_tables(schema=schema):
        database.get_columns(table, schema), database.get_indexes(table, schema), database.get_foreign_keys(table, schema), database.get_primary_keys(table, schema)
    database.get_views(schema)
notes = generate_models(database, table_names=["notes"])["notes"]
database.sequence_exists("notes_id_seq")
with database.atomic():
    notes.insert(body="a").execute()
    list(notes.select().where(notes.body.contains("note")))
