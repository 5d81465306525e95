// Postgres.js: its look-up of types, tagged templates, transactions, cursors, copying.
const postgres = require('postgres');

(async () => {
  const sql = postgres({ max: 1, types: {}, connection: { application_name: 'app' } });
  await sql`select * from sales.customers where id = ${1}`;
  await sql`select * from sales.orders where id in ${sql([1, 2, 3])}`;
  await sql`insert into public.notes ${sql([{ body: 'a', done: true }, { body: 'b', done: false }])} returning id`;
  await sql`update public.notes set ${sql({ done: true })} where id = ${1}`;
  await sql`select ${sql.array([1, 2])}::int[], ${sql.json({ a: 1 })}::jsonb`;
  await sql.begin('isolation level repeatable read', async (tx) => { await tx`select 1`; await tx.savepoint(async (s) => { await s`select 2`; }); });
  for await (const rows of sql`select * from sales.orders`.cursor(5)) { rows.length; }
  await sql.unsafe('select 1; select 2');
  await sql`select 1`.describe();
  await sql`select 1`.simple();
  await sql.file; 
  await sql.end();
})().catch((error) => { console.error(error); process.exit(1); });
