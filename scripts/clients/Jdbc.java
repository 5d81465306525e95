import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.PGConnection;

/** The JDBC driver: connecting, all of its metadata, prepared statements, cursors, batches, copying. */
final class Jdbc {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/sample?user=postgres&password=postgres&sslmode=disable";
        try (Connection connection = DriverManager.getConnection(url)) {
            metadata(connection.getMetaData());
            statements(connection);
        }
        for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
            try (Connection connection = DriverManager.getConnection(url + "&preferQueryMode=" + mode + "&ApplicationName=app&readOnly=true&currentSchema=sales")) {
                connection.createStatement().executeQuery("SELECT count(*) FROM orders").next();
            }
        }
        Properties options = new Properties();
        options.setProperty("options", "-c statement_timeout=90000");
        options.setProperty("assumeMinServerVersion", "9.4");
        options.setProperty("reWriteBatchedInserts", "true");
        options.setProperty("autosave", "always");
        options.setProperty("targetServerType", "primary");
        try (Connection connection = DriverManager.getConnection(url, options)) {
            connection.setAutoCommit(false);
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO public.notes (body) VALUES (?)")) {
                for (int n = 0; n < 5; n++) {
                    insert.setString(1, "n" + n);
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            connection.commit();
        }
    }

    private static void drain(ResultSet rows) throws Exception {
        while (rows.next()) {
            rows.getString(1);
        }
        rows.close();
    }

    private static void metadata(DatabaseMetaData data) throws Exception {
        drain(data.getCatalogs());
        drain(data.getSchemas());
        drain(data.getSchemas(null, "sal%"));
        drain(data.getTableTypes());
        drain(data.getTables(null, "sales", "%", null));
        drain(data.getTables(null, null, "%", new String[] {"TABLE", "VIEW", "PARTITIONED TABLE"}));
        drain(data.getTypeInfo());
        drain(data.getUDTs(null, "sales", "%", null));
        drain(data.getProcedures(null, "sales", "%"));
        drain(data.getProcedureColumns(null, "sales", "%", "%"));
        drain(data.getFunctions(null, "sales", "%"));
        drain(data.getFunctionColumns(null, "sales", "%", "%"));
        drain(data.getClientInfoProperties());
        data.getMaxConnections();
        data.getMaxColumnNameLength();
        data.getSQLKeywords();
        data.getDatabaseProductVersion();
        for (String table : new String[] {"customers", "orders", "totals"}) {
            drain(data.getColumns(null, "sales", table, "%"));
            drain(data.getPrimaryKeys(null, "sales", table));
            drain(data.getImportedKeys(null, "sales", table));
            drain(data.getExportedKeys(null, "sales", table));
            drain(data.getIndexInfo(null, "sales", table, false, true));
            drain(data.getIndexInfo(null, "sales", table, true, false));
            drain(data.getTablePrivileges(null, "sales", table));
            drain(data.getColumnPrivileges(null, "sales", table, "%"));
            drain(data.getBestRowIdentifier(null, "sales", table, DatabaseMetaData.bestRowSession, true));
            drain(data.getVersionColumns(null, "sales", table));
        }
        drain(data.getCrossReference(null, "sales", "customers", null, "sales", "orders"));
    }

    private static void statements(Connection connection) throws Exception {
        connection.isValid(5);
        try (PreparedStatement select = connection.prepareStatement("SELECT id, name, mood, home, tags, attributes, token FROM sales.customers WHERE id = ?")) {
            select.getParameterMetaData().getParameterTypeName(1);
            for (int n = 1; n < 8; n++) {
                select.setLong(1, n);
                try (ResultSet rows = select.executeQuery()) {
                    while (rows.next()) {
                        rows.getObject(3);
                        rows.getArray(5).getArray();
                        rows.getMetaData().getColumnTypeName(4);
                        rows.getMetaData().isAutoIncrement(1);
                        rows.getMetaData().getTableName(1);
                    }
                }
            }
        }
        connection.createArrayOf("int4", new Integer[] {1, 2});
        connection.setAutoCommit(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        try (Statement cursor = connection.createStatement()) {
            cursor.setFetchSize(5);
            drain(cursor.executeQuery("SELECT * FROM sales.orders"));
        }
        Savepoint point = connection.setSavepoint("s");
        connection.rollback(point);
        connection.releaseSavepoint(connection.setSavepoint());
        connection.commit();
        connection.setReadOnly(true);
        drain(connection.createStatement().executeQuery("SELECT 1"));
        connection.commit();
        connection.setReadOnly(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        connection.setAutoCommit(true);
        connection.setSchema("sales");
        connection.getSchema();
        connection.setSchema("public");
        connection.setClientInfo("ApplicationName", "app");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO public.notes (body) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            insert.setString(1, "a");
            insert.executeUpdate();
            drain(insert.getGeneratedKeys());
        }
        try (PreparedStatement update = connection.prepareStatement("UPDATE public.notes SET done = ? WHERE id = ?")) {
            for (int n = 1; n < 4; n++) {
                update.setBoolean(1, true);
                update.setInt(2, n);
                update.addBatch();
            }
            update.executeBatch();
        }
        try (Statement updatable = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet rows = updatable.executeQuery("SELECT id, body, done FROM public.notes ORDER BY id");
            rows.next();
            rows.updateString(2, "changed");
            rows.updateRow();
            rows.refreshRow();
        }
        try (Statement several = connection.createStatement()) {
            several.execute("SELECT 1; SELECT 2");
            several.setQueryTimeout(5);
            drain(several.executeQuery("SELECT {fn now()}, {fn ucase('a')}"));
            several.execute("LISTEN here");
            several.execute("NOTIFY here");
        }
        PGConnection own = connection.unwrap(PGConnection.class);
        own.getNotifications();
        own.getCopyAPI().copyIn("COPY public.notes (body) FROM STDIN", new StringReader("copied\n"));
        own.getCopyAPI().copyOut("COPY (SELECT * FROM sales.orders) TO STDOUT", new StringWriter());
        connection.abort(Runnable::run);
    }
}
