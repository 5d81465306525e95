# DBD::Pg: connecting, its catalog methods, prepared statements, copying.
use strict;
use warnings;
use DBI;

my $dbh = DBI->connect("dbi:Pg:dbname=sample;host=127.0.0.1;port=$ENV{PGPORT}", 'postgres', '', { RaiseError => 1, AutoCommit => 0 });
for my $sth (
    $dbh->table_info('', 'sales', '%', undef), $dbh->table_info('', '%', '', ''), $dbh->column_info('', 'sales', 'customers', '%'),
    $dbh->primary_key_info('', 'sales', 'orders'), $dbh->foreign_key_info(undef, 'sales', 'customers', undef, 'sales', 'orders'),
    $dbh->statistics_info(undef, 'sales', 'orders', 0, 0), $dbh->type_info_all() && (),
) { $sth->fetchall_arrayref if $sth }
$dbh->tables('', 'sales', '%', 'TABLE');
$dbh->data_sources() if 0;
$dbh->ping;
$dbh->pg_ping;
my $select = $dbh->prepare('select * from sales.orders where id = ?');
$select->execute($_) && $select->fetchall_arrayref for 1 .. 3;
my $insert = $dbh->prepare('insert into public.notes (body) values (?) returning id');
$insert->execute('a');
$dbh->last_insert_id(undef, 'public', 'notes', undef);
$dbh->pg_savepoint('s');
$dbh->pg_rollback_to('s');
$dbh->pg_release('s');
$dbh->do('copy public.notes (body) from stdin');
$dbh->pg_putcopydata("copied\n");
$dbh->pg_putcopyend();
$dbh->commit;
$dbh->do('listen here');
$dbh->commit;
$dbh->pg_notifies;
$dbh->disconnect;
