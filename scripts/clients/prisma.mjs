// Prisma: what `prisma db pull` and `prisma migrate status` ask, by its schema engine as WebAssembly. Its other engines
// are programs that npm does not have.
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import Result from 'pg/lib/result.js';

// The adapter does not know the type "char" of the catalogs, which the engine asks for.
const CHAR = 18;
const TEXT = 25;
const addFields = Result.prototype.addFields;
const characters = new Set();
Result.prototype.addFields = function (fields) {
  for (const field of fields.filter((one) => one.dataTypeID === CHAR)) {
    characters.add(field.name);
    field.dataTypeID = TEXT;
  }
  return addFields.call(this, fields);
};
class Adapter extends PrismaPg {
  async connect() {
    const connection = await super.connect();
    const queryRaw = connection.queryRaw.bind(connection);
    connection.queryRaw = async (asked) => {
      const answer = await queryRaw(asked);
      answer.columnTypes = answer.columnTypes.map((type, at) => (characters.has(answer.columnNames[at]) ? ColumnTypeEnum.Character : type));
      return answer;
    };
    return connection;
  }
}

globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => console.error(message) };
const require = createRequire(import.meta.url);
const folder = path.dirname(require.resolve('@prisma/schema-engine-wasm'));
const background = await import(path.join(folder, 'schema_engine_bg.js'));
const { instance } = await WebAssembly.instantiate(await readFile(path.join(folder, 'schema_engine_bg.wasm')), { './schema_engine_bg.js': background });
background.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start?.();

const content = `datasource db {\n  provider = "postgresql"\n  schemas = ["sales", "public"]\n}\n\ngenerator client {\n  provider = "prisma-client-js"\n}\n`;
const adapter = new Adapter({ connectionString: process.env.DATABASE_URL });
const engine = await background.SchemaEngine.new({ datamodels: [['schema.prisma', content]] }, () => {}, bindMigrationAwareSqlAdapterFactory(adapter));
const schema = { files: [{ path: 'schema.prisma', content }] };
const list = {
  baseDir: '/migrations',
  lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
  shadowDbInitScript: '',
  migrationDirectories: [],
};
const filters = { externalTables: [], externalEnums: [] };
await engine.version();
await engine.introspect({ schema, baseDirectoryPath: '/', force: false, compositeTypeDepth: 0, namespaces: ['sales', 'public'] });
await engine.diagnoseMigrationHistory({ migrationsList: list, optInToShadowDatabase: false, filters });
process.exit();
