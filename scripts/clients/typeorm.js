// TypeORM: connecting, what its query runner reads of a schema, what a synchronization would do, an entity.
const { DataSource, EntitySchema } = require('typeorm');

(async () => {
  const Note = new EntitySchema({
    name: 'Note', tableName: 'notes',
    columns: { id: { type: 'int', primary: true, generated: 'identity' }, body: { type: 'text' }, done: { type: 'boolean', default: false, nullable: true } },
  });
  const source = new DataSource({ type: 'postgres', url: process.env.DATABASE_URL, entities: [Note], installExtensions: false });
  await source.initialize();
  const runner = source.createQueryRunner();
  await runner.connect();
  await runner.getCurrentDatabase();
  await runner.getCurrentSchema();
  await runner.hasDatabase('sample');
  await runner.hasSchema('sales');
  await runner.hasTable('sales.orders');
  await runner.hasColumn('sales.orders', 'id');
  await runner.getTables(['sales.orders', 'sales.products', 'sales.events', 'notes']);
  await runner.getViews(['sales.totals', 'sales.by_day']);
  await runner.getVersion();
  await runner.release();
  await source.driver.createSchemaBuilder().log();
  const notes = source.getRepository(Note);
  await notes.find({ where: { done: false }, order: { id: 'ASC' }, take: 2 });
  await notes.save({ body: 'a' });
  await notes.update({ id: 1 }, { done: true });
  await notes.findAndCount({ take: 1 });
  await notes.createQueryBuilder('n').where('n.body like :b', { b: '%n%' }).getMany();
  await source.transaction('SERIALIZABLE', async (manager) => { await manager.count(Note); });
  await source.destroy();
})().catch((error) => { console.error(error); process.exit(1); });
