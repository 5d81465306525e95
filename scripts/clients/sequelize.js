// Sequelize: connecting, its query interface, a model with its finders.
const { Sequelize, DataTypes, QueryTypes, Transaction } = require('sequelize');

(async () => {
  const sequelize = new Sequelize(process.env.DATABASE_URL, { logging: false, dialect: 'postgres' });
  await sequelize.authenticate();
  await sequelize.databaseVersion();
  const query = sequelize.getQueryInterface();
  await query.showAllSchemas();
  await query.showAllTables();
  for (const tableName of ['customers', 'orders', 'products', 'events']) {
    const table = { tableName, schema: 'sales' };
    await query.describeTable(tableName, { schema: 'sales' }).catch(() => {});
    await query.showIndex(table).catch(() => {});
    await query.getForeignKeyReferencesForTable(table).catch(() => {});
    await query.showConstraint(table).catch(() => {});
    await query.tableExists(table);
  }
  await query.getForeignKeysForTables(['notes']);
  await query.describeTable('notes');
  const Note = sequelize.define('Note', { body: DataTypes.TEXT, done: DataTypes.BOOLEAN }, { tableName: 'notes', timestamps: false });
  await Note.findAll({ where: { done: false }, order: [['id', 'DESC']], limit: 3 });
  await Note.findAndCountAll({ where: { body: { [Sequelize.Op.iLike]: '%note%' } }, limit: 2, offset: 1 });
  await Note.create({ body: 'a' });
  await Note.bulkCreate([{ body: 'b' }, { body: 'c' }]);
  await Note.update({ done: true }, { where: { id: 1 } });
  await Note.findOrCreate({ where: { body: 'd' } });
  await Note.upsert({ id: 1, body: 'e' });
  await Note.count();
  await sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE }, async (transaction) => {
    await Note.findOne({ where: { id: 1 }, lock: true, transaction });
  });
  await sequelize.query('SELECT * FROM sales.orders WHERE id = $1', { bind: [1], type: QueryTypes.SELECT });
  await sequelize.close();
})().catch((error) => { console.error(error); process.exit(1); });
