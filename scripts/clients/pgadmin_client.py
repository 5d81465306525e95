"""pgAdmin: its SQL templates, rendered for the objects of the sample and run as it runs them, and the statements that
its connection module sends. The whole of pgAdmin needs a browser; its package is read, not started.
"""

import ast
import os
import pathlib
import re
import sys
import zipfile

import jinja2
import psycopg

# What is asked when somebody looks: the rest of the templates defines and changes things.
LOOKS = re.compile(
    r"/(nodes|properties|count|acl|get_\w+|stats?\w*|statistics|depend\w+|search|activity|locks|config|prepared|dashboard_stats|objectquery|objectname"
    r"|primary_keys|has_oids|sequences?|coll_\w*|backend_support|allowed_\w+|variables|check_recovery|system_statistics|roles?|replication_\w+"
    r"|children|parents?|\w*_list|user_mappings|enum_\w*|fetch\w*|is_\w+)\.sql$"
)
# Folders of other products, and of versions that are not the server's.
OTHERS = re.compile(r"/(ppas|pgagent|pgd_\w+|resource_groups|gpdb\w*)/|/tests/|_edb|edb\w+|pga_|/(1[6-9]|2\d)_plus/|redshift")


class Nothing(jinja2.Undefined):
    """A variable that nobody has set: empty and false, and so is everything of it."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    __getitem__ = __call__ = lambda self, *_, **__: self


def literal(value, *_):
    return "''" if isinstance(value, jinja2.Undefined) else "'" + str(value).replace("'", "''") + "'"


def identifier(value, *rest):
    parts = [part for part in rest if isinstance(part, str)] if not isinstance(value, str) else [value, *(p for p in rest if isinstance(p, str))]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def version_of(path):
    found = re.search(r"/(\d+)_plus/", path)
    return int(found[1]) if found else 0


def templates(wheel):
    """The newest of each for the server's version: the folder `15_plus` before `default`."""
    best = {}
    for name in wheel.namelist():
        if "/templates/" in name and LOOKS.search(name) and not OTHERS.search(name):
            place = re.sub(r"/(\d+_plus|default)/", "/*/", name)
            if place not in best or version_of(name) > version_of(best[place]):
                best[place] = name
    return sorted(best.values())


def objects(cursor):
    """OIDs of the sample by the names that the templates have for them: several variants."""
    one = lambda sql: cursor.execute(sql).fetchone()[0]  # noqa: E731
    table = one("select 'sales.orders'::regclass::oid")
    common = {
        "did": one("select oid from pg_database where datname = current_database()"),
        "scid": one("select 'sales'::regnamespace::oid"),
        "datlastsysoid": 16383, "last_system_oid": 16383, "lastsysoid": 16383, "show_sysobj": True, "show_system_objects": True,
        "schema": "sales", "schema_name": "sales", "nspname": "sales", "table": "orders", "table_name": "orders", "tname": "orders", "table_nspname": "sales",
        "name": "orders", "column": "id", "conn": None, "search_text": "o", "show_node_prefs": {}, "basensp": "sales",
        "where_clause": "WHERE true", "constraint_type": "p", "oid": table, "obj_id": table, "object_id": table, "attrelid": table, "cltid": table,
    }
    variants = {
        "tid": [table, one("select 'sales.customers'::regclass::oid"), one("select 'sales.events'::regclass::oid")],
        "vid": [one("select 'sales.totals'::regclass::oid"), one("select 'sales.by_day'::regclass::oid")],
        "fnid": [one("select 'sales.order_count'::regproc::oid"), one("select 'sales.stamp'::regproc::oid")],
        "cid": [one("select oid from pg_constraint where conrelid = 'sales.orders'::regclass and contype = 'f' limit 1"), one("select oid from pg_constraint where conname = 'orders_pkey'")],
        "idx": [one("select 'sales.orders_placed_on_quantity_idx'::regclass::oid")],
        "trid": [one("select oid from pg_trigger where tgname = 'customers_stamp'")],
        "rid": [one("select oid from pg_rewrite where rulename = 'scratch_ignored'"), one("select oid from pg_roles where rolname = 'sample_owner'")],
        "plid": [one("select oid from pg_policy limit 1")],
        "seid": [one("select 'sales.tickets'::regclass::oid")],
        "foid": [one("select '\"Odd Names\".remote'::regclass::oid")],
        "doid": [one("select 'sales.percent'::regtype::oid")],
        "coid": [one("select oid from pg_collation where collname = 'german'")],
        "fid": [one("select oid from pg_foreign_data_wrapper limit 1")],
        "fsid": [one("select oid from pg_foreign_server limit 1")],
        "umid": [one("select oid from pg_user_mapping limit 1")],
        "exid": [one("select oid from pg_extension where extname = 'hstore'")],
        "eid": [one("select oid from pg_extension where extname = 'hstore'")],
        "lid": [one("select oid from pg_language where lanname = 'plpgsql'")],
        "pbid": [one("select oid from pg_publication limit 1")],
        "cfgid": [one("select oid from pg_ts_config where cfgname = 'plain'")],
        "dictid": [one("select oid from pg_ts_dict where dictname = 'short'")],
        "opid": [one("select oid from pg_operator where oprname = '#+#'")],
        "agid": [one("select 'sales.product_of'::regproc::oid")],
        "tyid": [one("select 'sales.mood'::regtype::oid"), one("select 'sales.address'::regtype::oid")],
        "ptid": [one("select 'sales.events_2024'::regclass::oid")],
        "clid": [1], "tsid": [1663], "pid": [one("select oid from pg_ts_parser limit 1")],
    }
    for number in range(3):
        yield common | {name: values[number % len(values)] for name, values in variants.items()}
    # Lists: everything of a schema, of a table.
    yield common | {"tid": table}


def main():
    wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("pgadmin4-*.whl")))
    folders = {name.split("/templates/")[0] + "/templates" for name in wheel.namelist() if "/templates/" in name}
    sources = {}
    for name in wheel.namelist():
        for folder in folders:
            if name.startswith(folder + "/") and name.endswith((".sql", ".macros", ".macro")):
                sources.setdefault(name[len(folder) + 1 :], wheel.read(name).decode())
    environment = jinja2.Environment(loader=jinja2.DictLoader(sources), undefined=Nothing, extensions=["jinja2.ext.do", "jinja2.ext.i18n"])
    environment.install_null_translations()
    environment.filters |= {"qtLiteral": literal, "qtIdent": identifier, "qtTypeIdent": identifier, "hasAny": lambda *_: False}
    module = wheel.read("pgadmin4/pgadmin/utils/driver/psycopg3/connection.py").decode()
    connection = psycopg.connect("", autocommit=True, prepare_threshold=None)
    cursor = connection.cursor()
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.match(r"\s*(SELECT|SET)\s", node.value):
            if "{1}" not in node.value and "pg_cancel" not in node.value and "ROLE" not in node.value:
                run(cursor, node.value.format("UTF8"))
    # Looked up past the recorder: this is not what pgAdmin says.
    with psycopg.connect("", port=os.environ["SERVER_PORT"], autocommit=True) as aside:
        everything = list(objects(aside.cursor()))
    ran = 0
    for name in templates(wheel):
        template = environment.from_string(wheel.read(name).decode())
        for context in everything:
            try:
                sql = template.render(context | {"_": str})
            except Exception:  # noqa: BLE001: what it needs is not here
                continue
            if re.match(r"\s*(/\*.*?\*/\s*|--[^\n]*\n\s*)*(SELECT|WITH)\b", sql, re.IGNORECASE | re.DOTALL):
                ran += run(cursor, sql)
    print(f"{ran} statements ran")


def run(cursor, sql):
    """Whether it ran: a template that lacks what it was rendered with is wrong SQL."""
    try:
        cursor.execute(sql)
        return 1
    except psycopg.Error:
        return 0


main()
