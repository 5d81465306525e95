// Knex: its schema builder's questions, migrations' state, the query builder.
const knex = require('knex')({ client: 'pg', connection: process.env.DATABASE_URL, pool: { min: 1, max: 1 } });

(async () => {
  await knex.raw('select 1+1 as result');
  await knex.schema.withSchema('sales').hasTable('orders');
  await knex.schema.withSchema('sales').hasColumn('orders', 'quantity');
  await knex('orders').withSchema('sales').columnInfo();
  await knex('notes').columnInfo('body');
  await knex('notes').select('*').where({ done: false }).orderBy('id').limit(2);
  await knex('notes').insert([{ body: 'a' }, { body: 'b' }]).returning('id');
  await knex('notes').where('id', 1).update({ done: true });
  await knex('notes').insert({ id: 1, body: 'x' }).onConflict('id').merge();
  await knex('notes').count('* as n').first();
  await knex.transaction(async (trx) => { await trx('notes').forUpdate().where('id', 1); await trx.transaction(async (inner) => { await inner.raw('select 2'); }); });
  await knex.destroy();
})().catch((error) => { console.error(error); process.exit(1); });
