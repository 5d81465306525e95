"""psqlODBC, through pyodbc: the catalog functions of ODBC and statements."""

import os
import sys

import pyodbc

options = "UseDeclareFetch=1;Fetch=5;" if "cursors" in sys.argv else ""
driver = f"Driver=/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so;Server=127.0.0.1;Port={os.environ['PGPORT']};Database=sample;UID=postgres;PWD=postgres;{options}"
connection = pyodbc.connect(driver)
cursor = connection.cursor()
for table in ("customers", "orders"):
    cursor.tables(table=table, schema="sales").fetchall()
    cursor.columns(table=table, schema="sales").fetchall()
    cursor.primaryKeys(table=table, schema="sales").fetchall()
    cursor.statistics(table=table, schema="sales").fetchall()
    cursor.rowIdColumns(table=table, schema="sales").fetchall()
    cursor.rowVerColumns(table=table, schema="sales").fetchall()
cursor.tables().fetchall()
cursor.foreignKeys(table="customers", schema="sales").fetchall()
cursor.foreignKeys(foreignTable="orders", foreignSchema="sales").fetchall()
cursor.procedures(schema="sales").fetchall()
cursor.procedureColumns(schema="sales").fetchall()
cursor.getTypeInfo().fetchall()
cursor.execute("select * from sales.customers where id = ?", 1).fetchall()
cursor.execute("select * from sales.orders").fetchmany(7)
cursor.executemany("insert into public.notes (body) values (?)", [("a",), ("b",)])
connection.commit()
cursor.execute("update public.notes set done = true where id = ?", 1)
connection.rollback()
connection.close()
