# ActiveRecord: connecting, reading a schema as Rails does, the schema dumper, models, migrations' state.
require 'active_record'
require 'active_record/connection_adapters/postgresql_adapter'
require 'stringio'

settings = { adapter: 'postgresql', host: '127.0.0.1', port: ENV['PGPORT'], username: 'postgres', database: 'sample' }
ActiveRecord::Base.establish_connection(settings.merge(schema_search_path: 'sales,public', variables: { statement_timeout: '30s' }, application_name: 'app'))
connection = ActiveRecord::Base.connection
connection.tables
connection.views
connection.data_sources
connection.schema_names
connection.enum_types if connection.respond_to?(:enum_types)
connection.extensions
connection.current_schema
connection.current_database
connection.encoding
connection.collation
connection.ctype
connection.client_min_messages
connection.schema_exists?('sales')
connection.extension_enabled?('hstore')
connection.extension_available?('hstore')
connection.database_version
connection.active?
%w[customers orders products events notes].each do |table|
  connection.columns(table)
  connection.indexes(table)
  connection.foreign_keys(table)
  connection.check_constraints(table) if connection.respond_to?(:check_constraints)
  connection.primary_keys(table)
  connection.pk_and_sequence_for(table)
  connection.table_options(table)
  connection.table_comment(table)
  connection.table_exists?(table)
  connection.index_name_exists?(table, 'orders_pkey')
  connection.serial_sequence(table, 'id') if table == 'orders'
end
connection.inherited_table_names('companies') if connection.respond_to?(:inherited_table_names)
connection.max_identifier_length
ActiveRecord::SchemaDumper.dump(connection, StringIO.new)
ActiveRecord::Base.connection.migration_context.needs_migration? if ActiveRecord::SchemaMigration.table_exists?

class Note < ActiveRecord::Base; end
class Order < ActiveRecord::Base; end
Note.create!(body: 'a')
Note.insert_all([{ body: 'b' }, { body: 'c' }])
Note.where(done: false).order(id: :desc).limit(2).to_a
Note.find(1).update!(done: true)
Note.where(id: 1).update_all(done: false)
Note.count
Note.exists?(1)
Note.find_each(batch_size: 2) { |note| note.body }
Note.transaction { Note.lock.find(1); Note.transaction(requires_new: true) { Note.first } }
Note.transaction(isolation: :serializable) { Note.first }
Note.upsert({ id: 1, body: 'd' })
Order.where(quantity: [1, 2]).pluck(:id, :placed_on)
Note.connection.with_advisory_lock('x') {} if Note.connection.respond_to?(:with_advisory_lock)
connection.get_advisory_lock(7)
connection.release_advisory_lock(7)
Note.where(id: 1).explain
connection.disable_referential_integrity { } if ENV['REFERENTIAL']
connection.reconnect!
connection.reset!
connection.disconnect!
