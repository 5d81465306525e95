"""The clients, and how each is made to say what it has to say: commands, one after the other, each with a name."""

import os
import pathlib
import shutil
import subprocess
import sys

DATABASE = "sample"


class Place:
    """Where a client finds its server and its files."""

    def __init__(self, here, build, port, server_port, server_programs):
        self.here = here
        self.build = build
        self.port = port
        self.server_port = server_port
        self.server_programs = server_programs
        self.version = "?"
        self.may_fail = False
        self.drops_errors = False
        self.build.mkdir(parents=True, exist_ok=True)

    def environment(self, **more):
        """What libpq and the drivers that follow it read."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        own = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": DATABASE}
        url = f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"
        own |= {"SERVER_PORT": str(self.server_port)}
        return kept | own | {"PGPASSWORD": "postgres", "DATABASE_URL": url, "LC_ALL": "C.UTF-8", "TZ": "UTC"} | more

    def command(self, what, *command, **more):
        """A step of a program."""
        options = {key: more.pop(key) for key in ("input", "cwd") if key in more}
        return what, [str(part) for part in command], options | {"env": self.environment(**more)}

    def packages(self, *names):
        """Debian packages, where one of them is missing."""
        installed = subprocess.run(["dpkg", "-s", *names], capture_output=True, check=False)
        if installed.returncode:
            command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
            subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})

    def package_version(self, name):
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=True)
        return said.stdout.split(":")[-1].split("-")[0].split("+")[0]

    def python(self, *packages):
        """A Python with packages from PyPI."""
        place = self.build / "python"
        if not place.exists():
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
        missing = [name for name in packages if not list(place.glob(f"lib/*/site-packages/{wheel_name(name)}-*.dist-info"))]
        if missing:
            subprocess.run([place / "bin/pip", "install", "-q", *missing], check=True, stdout=sys.stderr)
        return place / "bin/python"

    def python_version(self, name):
        found = list((self.build / "python").glob(f"lib/*/site-packages/{wheel_name(name)}-*.dist-info"))
        return found[0].name.removesuffix(".dist-info").rsplit("-", 1)[1]

    def node(self, *packages):
        """A folder with packages of npm; no script of theirs is run."""
        place = self.build / "node"
        place.mkdir(exist_ok=True)
        missing = [name for name in packages if not (place / "node_modules" / name).exists()]
        if missing:
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", place, *missing]
            subprocess.run(command, check=True, stdout=sys.stderr)
        for script in [*self.here.glob("*.js"), *self.here.glob("*.mjs")]:
            shutil.copy(script, place)
        return place

    def node_version(self, name):
        import json

        return json.loads((self.build / "node/node_modules" / name / "package.json").read_text())["version"]


def wheel_name(name):
    return name.split("[")[0].split("=")[0].replace("-", "_")


# Postgres' own programs


def said_version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split(")")[1].split()[0] if ")" in said else said.split()[-1]


def psql(place):
    place.version = said_version(f"{place.server_programs}/psql")
    run = [f"{place.server_programs}/psql", "-X", "-v", "ON_ERROR_STOP=0"]
    for line in (place.here / "psql.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            yield place.command(line, *run, "-f", "-", input=line + "\n", EDITOR="true", PSQL_EDITOR="true")
    script = place.here / "psql_completion.py"
    yield place.command("completion by the tabulator key", sys.executable, script, *run[:1])


def pg_dump(place):
    place.version = said_version(f"{place.server_programs}/pg_dump")
    run = f"{place.server_programs}/pg_dump"
    out = place.build / "dump"
    for options in [
        "--schema-only", "--data-only", "--format=custom", "--inserts --rows-per-insert=10", "--clean --if-exists --create",
        "--table=sales.orders", "--schema=sales --no-owner --no-privileges", "--exclude-table-data=sales.events*",
        "--format=directory --jobs=2", "--serializable-deferrable --data-only", "--enable-row-security --role=postgres --table=sales.customers",
        "--schema-only --extension=hstore --quote-all-identifiers --disable-triggers",
    ]:
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)
        yield place.command(f"pg_dump {options}", run, *options.split(), "-f", out)


def pg_dumpall(place):
    place.version = said_version(f"{place.server_programs}/pg_dumpall")
    run = f"{place.server_programs}/pg_dumpall"
    for options in ["--no-role-passwords", "--globals-only"]:
        yield place.command(f"pg_dumpall {options}", run, *options.split(), "-f", place.build / "dumpall")


def pgbench(place):
    place.version = said_version(f"{place.server_programs}/pgbench")
    run = f"{place.server_programs}/pgbench"
    for mode in ["simple", "extended", "prepared"]:
        yield place.command(f"pgbench -M {mode}", run, "-M", mode, "-t", "2", "-c", "1", DATABASE)
    for script in ["simple-update", "select-only"]:
        yield place.command(f"pgbench -b {script}", run, "-b", script, "-n", "-t", "2", DATABASE)
    yield place.command("pgbench -i", run, "-i", "-I", "dtvpf", DATABASE)


def maintenance(place):
    """vacuumdb: what a nightly job runs."""
    place.version = said_version(f"{place.server_programs}/vacuumdb")
    for command in ["vacuumdb --analyze-only", "vacuumdb --analyze-in-stages --table=sales.orders", "vacuumdb --table=sales.orders"]:
        program, *options = command.split()
        yield place.command(command, f"{place.server_programs}/{program}", *options, DATABASE)


# Python


def python_client(script, package, *packages):
    """A script of ours that uses a package of PyPI."""

    def program(place):
        python = place.python(package, *packages)
        place.version = place.python_version(package)
        yield place.command(script, python, place.here / f"{script}_client.py")

    return program


def sqlalchemy(place):
    python = place.python("sqlalchemy", "psycopg2-binary", "psycopg[binary]", "asyncpg", "pg8000", "greenlet")
    place.version = place.python_version("sqlalchemy")
    for driver in ["psycopg2", "psycopg", "asyncpg", "pg8000"]:
        yield place.command(f"with {driver}", python, place.here / "sqlalchemy_client.py", driver, place.port)


def django(place):
    python = place.python("django", "psycopg[binary]")
    place.version = place.python_version("django")
    for words in [
        "inspectdb paths", "inspectdb --include-partitions --include-views", "migrate --plan", "showmigrations", "showmigrations --plan",
        "migrate --check paths", "sqlmigrate auth 0001", "check --database default", "introspect paths", "introspect", "orm", "sqlflush", "sqlsequencereset auth",
    ]:
        place.may_fail = "--check" in words
        yield place.command(words, python, place.here / "django_client.py", *words.split())


def pgadmin(place):
    python = place.python("jinja2", "psycopg[binary]")
    folder = place.build / "pgadmin"
    if not list(folder.glob("pgadmin4-*.whl")):
        command = [place.build / "python/bin/pip", "download", "-q", "--no-deps", "-d", folder, "pgadmin4"]
        subprocess.run(command, check=True, stdout=sys.stderr)
    place.version = next(folder.glob("pgadmin4-*.whl")).name.split("-")[1]
    place.drops_errors = True
    yield place.command("SQL templates", python, place.here / "pgadmin_client.py", folder)


# Node


def node_client(package, *packages):
    """A script of ours that uses a package of npm."""

    def program(place):
        folder = place.node(package, *packages)
        place.version = place.node_version(package)
        yield place.command(f"{package}.js", "node", f"{package}.js", cwd=folder)

    return program


def drizzle(place):
    folder = place.node("drizzle-kit", "drizzle-orm", "pg")
    place.version = place.node_version("drizzle-kit")
    yield place.command("drizzle-kit introspect", "node_modules/.bin/drizzle-kit", "introspect", "--config=drizzle.config.js", cwd=folder)


def prisma(place):
    folder = place.node("@prisma/schema-engine-wasm", "@prisma/adapter-pg", "@prisma/driver-adapter-utils", "pg")
    place.version = place.node_version("@prisma/schema-engine-wasm")
    yield place.command("prisma db pull, prisma migrate status", "node", "prisma.mjs", cwd=folder)


# Java, Go, Ruby, Perl, PHP, ODBC: from Debian's packages


def jdbc(place):
    place.packages("libpostgresql-jdbc-java")
    if not shutil.which("java"):
        place.packages("default-jdk-headless")
    place.version = place.package_version("libpostgresql-jdbc-java")
    path = "/usr/share/java/postgresql.jar"
    yield place.command("Jdbc.java", "java", "--class-path", path, place.here / "Jdbc.java", cwd=place.build)


def go_client(script, package):
    """A program of ours that uses a package which Debian has the source of."""

    def program(place):
        place.packages("golang-go", package)
        place.version = place.package_version(package)
        more = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOCACHE": str(place.build / "go")}
        yield place.command(script, "go", "run", place.here / script, cwd=place.build, **more)

    return program


def activerecord(place):
    place.packages("ruby", "ruby-activerecord", "ruby-pg")
    place.version = place.package_version("ruby-activerecord")
    yield place.command("activerecord.rb", "ruby", place.here / "activerecord.rb")


def dbd_pg(place):
    place.packages("perl", "libdbd-pg-perl")
    place.version = place.package_version("libdbd-pg-perl")
    yield place.command("dbd_pg.pl", "perl", place.here / "dbd_pg.pl")


def php(place):
    place.packages("php-cli", "php-pgsql")
    place.version = place.package_version("php-cli")
    yield place.command("php.php", "php", place.here / "php.php")


def odbc(place):
    place.packages("odbc-postgresql", "unixodbc")
    python = place.python("pyodbc")
    place.version = place.package_version("odbc-postgresql")
    for mode in ["", "cursors"]:
        yield place.command(f"odbc_client.py {mode}".strip(), python, place.here / "odbc_client.py", *mode.split())


PROGRAMS = {
    "psql": psql,
    "pg_dump": pg_dump,
    "pg_dumpall": pg_dumpall,
    "pgbench": pgbench,
    "vacuumdb": maintenance,
    "psycopg2": python_client("psycopg2", "psycopg2-binary"),
    "psycopg": python_client("psycopg", "psycopg[binary]"),
    "asyncpg": python_client("asyncpg", "asyncpg"),
    "pg8000": python_client("pg8000", "pg8000"),
    "sqlalchemy": sqlalchemy,
    "alembic": python_client("alembic", "alembic", "sqlalchemy", "psycopg[binary]"),
    "django": django,
    "pgcli": python_client("pgcli", "pgcli", "psycopg[binary]"),
    "pgadmin": pgadmin,
    "peewee": python_client("peewee", "peewee", "psycopg2-binary"),
    "node-postgres": node_client("pg"),
    "postgres.js": node_client("postgres"),
    "sequelize": node_client("sequelize", "pg"),
    "typeorm": node_client("typeorm", "pg", "reflect-metadata"),
    "knex": node_client("knex", "pg"),
    "kysely": node_client("kysely", "pg"),
    "drizzle": drizzle,
    "prisma": prisma,
    "jdbc": jdbc,
    "pgx": go_client("pgx.go", "golang-github-jackc-pgx-v4-dev"),
    "lib-pq": go_client("libpq.go", "golang-github-lib-pq-dev"),
    "activerecord": activerecord,
    "dbd-pg": dbd_pg,
    "php": php,
    "psqlodbc": odbc,
}
