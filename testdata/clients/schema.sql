-- A database with one of everything that clients ask about. The recorded statements run in copies of it.
-- Loaded by psql as the superuser into an empty database.

create role sample_owner;
create role sample_reader login;
create role sample_staff role sample_reader;
comment on role sample_owner is 'owns the tables of the sample';

create extension citext;
create extension hstore;
create extension pg_trgm;
create extension pgcrypto;
create extension postgres_fdw;

create schema sales;
comment on schema sales is 'what is sold';
create schema "Odd Names";
grant usage on schema sales to sample_reader;
alter default privileges in schema sales grant select on tables to sample_reader;

create type sales.mood as enum ('sad', 'ok', 'happy');
create type sales.address as (street text, city varchar(40), zip integer);
create domain sales.percent as numeric(5, 2) default 0 check (value between 0 and 100);
create type sales.price_range as range (subtype = numeric);
create collation sales.german (provider = icu, locale = 'de');

create table sales.customers (
    id         bigint generated always as identity primary key,
    name       varchar(80) not null,
    email      citext not null unique,
    mood       sales.mood not null default 'ok',
    home       sales.address,
    tags       text[] not null default '{}',
    attributes hstore,
    settings   jsonb not null default '{"a": 1}',
    balance    numeric(12, 2) not null default 0,
    active     boolean not null default true,
    photo      bytea,
    token      uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now(),
    search     tsvector generated always as (to_tsvector('english', name)) stored
);
comment on table sales.customers is 'who buys';
comment on column sales.customers.mood is 'how they feel';
create index customers_by_name on sales.customers using btree (lower(name)) where active;
create index customers_search on sales.customers using gin (search);
create index customers_trigrams on sales.customers using gin (name gin_trgm_ops);
create index customers_settings on sales.customers using gin (settings jsonb_path_ops);

create table sales.products (
    code     char(6) primary key,
    title    text not null collate "C",
    price    numeric(8, 2) not null check (price > 0),
    discount sales.percent,
    valid    daterange,
    ratio    double precision,
    weight   real,
    units    smallint not null default 1,
    made_at  timestamp,
    took     interval,
    exclude using gist (valid with &&)
);

create table sales.orders (
    id          serial primary key,
    customer_id bigint not null references sales.customers on delete cascade on update cascade,
    product     char(6) references sales.products (code) on delete set null deferrable initially deferred,
    quantity    integer not null default 1 check (quantity > 0),
    placed_on   date not null default current_date,
    unique (customer_id, product, placed_on)
);
create index on sales.orders (placed_on desc nulls last) include (quantity);
create statistics sales.orders_dependencies (dependencies, ndistinct) on customer_id, product from sales.orders;

create table sales.events (
    at      timestamptz not null,
    kind    text not null,
    payload json
) partition by range (at);
create table sales.events_2024 partition of sales.events for values from ('2024-01-01') to ('2025-01-01');
create table sales.events_rest partition of sales.events default;
create index on sales.events (kind);

create table sales.parties (id integer primary key, name text);
create table sales.companies (vat text) inherits (sales.parties);
create unlogged table sales.scratch (x integer) with (fillfactor = 70);

create sequence sales.tickets increment by 5 start with 100 cache 10;

create view sales.totals as
    select c.id, c.name, sum(o.quantity * p.price) as total
    from sales.customers c join sales.orders o on o.customer_id = c.id join sales.products p on p.code = o.product
    group by c.id, c.name;
comment on view sales.totals is 'how much was bought';
create view sales.active_customers with (security_barrier) as
    select id, name, email from sales.customers where active with local check option;
create materialized view sales.by_day as select placed_on, count(*) as orders from sales.orders group by placed_on;
create unique index on sales.by_day (placed_on);

create function sales.order_count(customer bigint, since date default '2000-01-01') returns bigint
    language sql stable strict parallel safe
    as $$ select count(*) from sales.orders where customer_id = customer and placed_on >= since $$;
comment on function sales.order_count is 'how many orders';
create function sales.stamp() returns trigger language plpgsql as $$ begin new.created_at := now(); return new; end $$;
create procedure sales.tidy(inout removed integer) language plpgsql as $$ begin removed := 0; end $$;
create aggregate sales.product_of(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1');
create function sales.sorted(text[]) returns setof text language sql immutable as $$ select unnest($1) order by 1 $$;
create operator sales.#+# (leftarg = numeric, rightarg = numeric, function = numeric_add, commutator = operator(sales.#+#));

create trigger customers_stamp before update on sales.customers for each row execute function sales.stamp();
create rule scratch_ignored as on delete to sales.scratch do instead nothing;
alter table sales.customers enable row level security;
create policy own_rows on sales.customers for select to sample_reader using (active);

create text search configuration sales.plain (copy = simple);
create text search dictionary sales.short (template = simple, stopwords = english);
create server elsewhere foreign data wrapper postgres_fdw options (host 'localhost', dbname 'elsewhere');
create user mapping for sample_reader server elsewhere options (user 'nobody');
create foreign table "Odd Names".remote (id integer, note text options (column_name 'remark')) server elsewhere;
create publication sales_changes for table sales.orders, sales.products with (publish = 'insert, update');

create table "Odd Names"."Mixed Case" ("Id" integer primary key, "select" text, "a ""quoted"" name" text, "é" text);

-- What pgbench makes, empty.
create table public.pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
create table public.pgbench_tellers (tid int not null primary key, bid int, tbalance int, filler char(84)) with (fillfactor = 100);
create table public.pgbench_accounts (aid int not null primary key, bid int, abalance int, filler char(84)) with (fillfactor = 100);
create table public.pgbench_branches (bid int not null primary key, bbalance int, filler char(88)) with (fillfactor = 100);

create table public.notes (id integer generated by default as identity primary key, body text not null, done boolean default false);

insert into sales.customers (token, created_at, name, email, mood, home, tags, attributes)
select md5(n::text)::uuid, '2024-01-01', 'customer ' || n, 'c' || n || '@example.com', 'happy', row('street ' || n, 'town', n)::sales.address, array['a', 'b'], 'x=>1'
from generate_series(1, 20) n;
insert into sales.products (code, title, price, valid)
select 'p' || n, 'product ' || n, n, daterange('2024-01-01'::date + n, '2024-01-01'::date + n + 1)
from generate_series(1, 5) n;
insert into sales.orders (customer_id, product, quantity, placed_on)
select n, 'p' || 1 + n % 5, n, '2024-01-01'::date + n from generate_series(1, 20) n;
insert into sales.events select '2024-02-01'::timestamptz + n * interval '100 days', 'kind', '{}' from generate_series(1, 5) n;
insert into sales.parties values (1, 'one');
insert into sales.companies values (2, 'two', 'vat');
insert into public.notes (body) select 'note ' || n from generate_series(1, 5) n;
insert into pgbench_branches select 1, 0, '';
insert into pgbench_tellers select n, 1, 0, '' from generate_series(1, 10) n;
insert into pgbench_accounts select n, 1, 0, '' from generate_series(1, 1000) n;
insert into "Odd Names"."Mixed Case" values (1, 'a', 'b', 'c');
refresh materialized view sales.by_day;

alter table sales.customers owner to sample_owner;
grant select (id, name), update (name) on sales.customers to sample_reader;
grant all on sales.products to sample_staff with grant option;
grant execute on function sales.order_count to sample_reader;
revoke execute on function sales.sorted from public;
analyze;
