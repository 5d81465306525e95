-- The sample shop: about 200,000 rows, the same ones every time. Run by psql in an empty database.
\if :{?customers} \else \set customers 10000 \endif

create table customers (
    id         integer generated always as identity,
    name       text not null,
    email      text not null,
    city       text not null,
    joined_on  date not null
);

create table orders (
    id          integer generated always as identity,
    customer_id integer not null,
    status      text not null check (status in ('open', 'paid', 'shipped', 'returned')),
    placed_on   date not null
);

create table order_items (
    order_id  integer not null,
    line      integer not null,
    product   text not null,
    quantity  integer not null check (quantity > 0),
    price     numeric(8, 2) not null
);

create table orders_log (
    id        bigint primary key generated always as identity,
    order_id  integer not null,
    action    text not null,
    by_role   text not null default current_user,
    logged_at timestamptz not null default now()
);

select setseed(0.42) \g /dev/null

insert into customers (name, email, city, joined_on)
select first || ' ' || last, lower(first) || '.' || lower(last) || n || '@example.com', city,
       date '2022-01-01' + (random() * 1000)::integer
from (select n,
             (array['Ada', 'Ben', 'Cleo', 'Dan', 'Eve', 'Finn', 'Gia', 'Hugo', 'Ida', 'Jan'])[1 + floor(random() * 10)] as first,
             (array['Adler', 'Berg', 'Costa', 'Dvorak', 'Evans', 'Fischer', 'Garcia', 'Hansen'])[1 + floor(random() * 8)] as last,
             (array['Lisbon', 'Graz', 'Oslo', 'Turin', 'Ghent', 'Brno', 'Cork'])[1 + floor(random() * 7)] as city
      from generate_series(1, :customers) as n) as people;

insert into orders (customer_id, status, placed_on)
select 1 + floor(random() * :customers)::integer,
       (array['open', 'paid', 'paid', 'shipped', 'shipped', 'shipped', 'shipped', 'returned'])[1 + floor(random() * 8)],
       date '2023-01-01' + (random() * 1000)::integer
from generate_series(1, 5 * :customers);

insert into order_items (order_id, line, product, quantity, price)
select orders.id, line,
       (array['kettle', 'lamp', 'notebook', 'chair', 'mug', 'rug', 'clock', 'vase'])[1 + floor(random() * 8)],
       1 + floor(random() * 4)::integer, round((3 + random() * 97)::numeric, 2)
from orders, generate_series(1, 1 + orders.id % 5) as line
where line <= 3 or orders.id % 2 = 0;

-- Keys come after the rows: checking them one by one takes longer.
alter table customers add primary key (id), add unique (email);
alter table orders add primary key (id), add foreign key (customer_id) references customers on delete restrict;
alter table order_items add primary key (order_id, line), add foreign key (order_id) references orders on delete cascade;
create index orders_by_customer on orders (customer_id);
create index orders_by_date on orders (placed_on);

create view order_totals as
    select orders.id as order_id, orders.customer_id, orders.placed_on, sum(quantity * price) as total
    from orders join order_items on order_items.order_id = orders.id
    group by orders.id;

-- Whoever deletes or changes an order leaves a line in orders_log.
create function log_it() returns trigger language plpgsql security definer set search_path = pg_catalog, public as $$
begin
    insert into orders_log (order_id, action, by_role) values (old.id, lower(tg_op), session_user);
    return null;
end
$$;
create trigger orders_audit after update or delete on orders for each row execute function log_it();

create role shop login;
grant select, insert, update, delete on customers, orders, order_items to shop;
grant select on orders_log, order_totals to shop;

analyze;
