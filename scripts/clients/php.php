<?php
// PHP: PDO and the functions of ext/pgsql.
$pdo = new PDO("pgsql:host=127.0.0.1;port=" . getenv('PGPORT') . ";dbname=sample", 'postgres', '', [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$select = $pdo->prepare('select * from sales.customers where id = ?');
$select->execute([1]);
for ($n = 0; $n < $select->columnCount(); $n++) { $select->getColumnMeta($n); }
$select->fetchAll();
$pdo->beginTransaction();
$pdo->exec("insert into public.notes (body) values ('a')");
$pdo->lastInsertId('notes_id_seq');
$pdo->lastInsertId();
$pdo->commit();
$emulated = $pdo->prepare('select :a, :b', [PDO::ATTR_EMULATE_PREPARES => true]);
$emulated->execute(['a' => 1, 'b' => 'x']);
$cursor = $pdo->prepare('select * from sales.orders', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
$cursor->execute();
$cursor->fetch(PDO::FETCH_ASSOC, PDO::FETCH_ORI_NEXT);
$cursor = null;
$pdo->pgsqlCopyFromArray('notes', ["copied\tt"], "\t", '\\\\N', 'body, done');
$pdo->pgsqlCopyToArray('sales.orders');
$pdo->query('listen here');
$pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, 0);
$pdo->getAttribute(PDO::ATTR_SERVER_INFO);
$pdo = null;
$link = pg_connect("host=127.0.0.1 port=" . getenv('PGPORT') . " dbname=sample user=postgres");
pg_meta_data($link, 'notes', true);
pg_meta_data($link, 'sales.orders');
pg_query_params($link, 'select * from sales.orders where id = $1', [1]);
pg_prepare($link, 'p', 'select $1::int');
pg_execute($link, 'p', [1]);
pg_insert($link, 'notes', ['body' => 'b']);
pg_select($link, 'notes', ['id' => 1]);
pg_update($link, 'notes', ['done' => 't'], ['id' => 1]);
pg_convert($link, 'notes', ['body' => 'x']);
$result = pg_query($link, 'select * from sales.customers');
for ($n = 0; $n < pg_num_fields($result); $n++) { pg_field_type($result, $n); pg_field_table($result, $n); }
pg_copy_to($link, 'sales.orders');
pg_ping($link);
pg_close($link);
