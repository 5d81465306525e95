// node-postgres: clients, pools, prepared statements, streams of rows.
const { Client, Pool } = require('pg');

(async () => {
  const client = new Client();
  await client.connect();
  await client.query('select * from sales.customers where id = $1', [1]);
  await client.query({ name: 'by-id', text: 'select name from sales.customers where id = $1', values: [2] });
  await client.query({ name: 'by-id', text: 'select name from sales.customers where id = $1', values: [3] });
  await client.query({ text: 'select id, quantity from sales.orders', rowMode: 'array' });
  await client.query('BEGIN');
  await client.query('INSERT INTO public.notes(body) VALUES($1) RETURNING id', ['a']);
  await client.query('SAVEPOINT s');
  await client.query('ROLLBACK TO s');
  await client.query('COMMIT');
  await client.query('LISTEN here');
  await client.query("NOTIFY here, 'news'");
  await client.query('SELECT $1::jsonb, $2::text[], $3::bytea, $4::timestamptz', [{ a: 1 }, ['x'], Buffer.from('b'), new Date(0)]);
  await client.end();
  const pool = new Pool({ max: 2, statement_timeout: 5000, query_timeout: 5000, application_name: 'app', options: '-c search_path=sales' });
  await Promise.all([pool.query('SELECT NOW()'), pool.query('SELECT count(*) FROM orders')]);
  await pool.end();
})().catch((error) => { console.error(error); process.exit(1); });
