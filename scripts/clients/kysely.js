// Kysely: introspection and the query builder.
const { Kysely, PostgresDialect } = require('kysely');
const { Pool } = require('pg');

(async () => {
  const database = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ max: 1 }) }) });
  await database.introspection.getSchemas();
  await database.introspection.getTables({ withInternalKyselyTables: true });
  await database.selectFrom('notes').selectAll().where('id', '=', 1).execute();
  await database.insertInto('notes').values({ body: 'a' }).returning('id').execute();
  await database.transaction().setIsolationLevel('serializable').execute(async (trx) => { await trx.selectFrom('notes').selectAll().forUpdate().execute(); });
  await database.destroy();
})().catch((error) => { console.error(error); process.exit(1); });
