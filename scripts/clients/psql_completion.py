"""Types into psql, on a terminal of its own, the beginnings of statements and presses the tabulator key twice."""

import os
import pty
import select
import sys
import time

BEGINNINGS = [
    "select * from sal", "select * from sales.o", "select * from sales.orders where c", "insert into sales.", "update sales.c",
    "delete from sales.", "alter table sales.", "alter table sales.orders drop c", "drop index sales.", "drop view sales.",
    "drop function sales.", "alter type sales.", "create index on sales.", "create table x (like sales.", "grant select on ",
    "grant sample_", "revoke all on schema ", "alter role ", "alter database ", "alter schema ", "alter extension ", "drop extension ",
    "create extension ", "comment on column sales.", "set search_path to ", "set work", "show time", "alter sequence sales.",
    "alter function sales.", "drop trigger customers_", "drop policy own", "drop trigger customers_stamp on ", "refresh materialized view sales.",
    "vacuum sales.", "analyze sales.", "reindex table sales.", "cluster sales.", "lock sales.", "truncate sales.", "copy sales.",
    "execute ", "fetch from ", "listen ", "notify ", "alter server ", "alter publication ", "alter publication sales_changes drop table ",
    "alter text search configuration sales.", "alter collation sales.", "alter domain sales.", "drop aggregate sales.", "call sales.",
    "\\d sales.", "\\df sales.", "\\dT sales.", "\\dn s", "\\du s", "\\l s", "\\c s", "\\sf sales.", "\\ev sales.", "\\dx h", "\\db p",
    "\\encoding U", "\\dconfig work", "alter table sales.orders add constraint x foreign key (customer_id) references sales.",
    "alter table sales.orders drop constraint ", "alter table sales.orders validate constraint ", "alter table sales.events detach partition sales.",
    "alter table sales.events attach partition ", "alter index sales.", "alter statistics sales.", "alter view sales.", "alter foreign table sales.",
    "import foreign schema x from server ", "create trigger t before insert on sales.", "create policy p on sales.", "security label for x on table sales.",
    "set role ", "set session authorization ", "set timezone to eu", "alter type sales.mood rename value ", "select sales.", "merge into sales.",
]


def main():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(sys.argv[1], [sys.argv[1], "-X", "-v", "PROMPT1=> "], os.environ | {"TERM": "dumb", "PAGER": "cat", "INPUTRC": "/dev/null"})
    quiet(terminal)
    for beginning in BEGINNINGS:
        os.write(terminal, beginning.encode() + b"\t\t")
        quiet(terminal)
        # A list that is too long asks whether it is wanted; then the line is given up.
        os.write(terminal, b"n\x15")
        os.write(terminal, b"\x03")
        quiet(terminal)
    os.write(terminal, b"\x15\\q\n")
    quiet(terminal)
    os.waitpid(pid, 0)


def quiet(terminal):
    """Reads until nothing has come for a while."""
    until = time.time() + 5
    while time.time() < until and select.select([terminal], [], [], 0.15)[0]:
        try:
            if not os.read(terminal, 65536):
                return
        except OSError:
            return


main()
