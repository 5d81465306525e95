"""pgcli: what it asks to complete words, and its backslash commands."""

import os

from pgcli.pgexecute import PGExecute
from pgspecial.main import PGSpecial

special = PGSpecial()
where = {"database": "sample", "user": "postgres", "host": "127.0.0.1", "port": os.environ["PGPORT"], "password": ""}
asks = PGExecute(**where)
for method in ("search_path", "schemata", "tables", "views", "table_columns", "view_columns", "databases", "foreignkeys", "functions", "datatypes"):
    got = getattr(asks, method)()
    if got is not None and not isinstance(got, (list, dict, str)):
        list(got)
list(asks.casing())
asks.full_databases()
asks.view_definition("sales.totals")
asks.function_definition("sales.stamp")
for command in (
    "\\d", "\\d sales.orders", "\\d+ sales.customers", "\\dt sales.*", "\\dt+ sales.*", "\\dv sales.*", "\\di sales.*", "\\ds sales.*", "\\df sales.*",
    "\\dn+", "\\du+", "\\dT+ sales.*", "\\dD sales.*", "\\dx+", "\\dp sales.*", "\\dm sales.*", "\\dE sales.*", "\\dF", "\\db+", "\\ddp", "\\l+", "\\sf sales.stamp",
    "\\np",
):
    try:
        for _ in asks.run(command, special):
            pass
    except (NotImplementedError, AttributeError):
        # Not a command of this version.
        pass
