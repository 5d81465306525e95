// pgx: connecting, statements and their cache, batches, copying, pools, the types that are looked up.
package main

import (
	"context"
	"os"

	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func drain(rows pgx.Rows, err error) {
	must(err)
	for rows.Next() {
		_, err := rows.Values()
		must(err)
	}
	must(rows.Err())
}

func main() {
	background := context.Background()
	url := os.Getenv("DATABASE_URL") + "?sslmode=disable"
	connection, err := pgx.Connect(background, url)
	must(err)
	must(connection.Ping(background))
	for n := 1; n < 3; n++ {
		drain(connection.Query(background, "select id, name, home, tags from sales.customers where id = $1", n))
	}
	_, err = connection.Prepare(background, "by_id", "select * from sales.orders where id = $1")
	must(err)
	drain(connection.Query(background, "by_id", 3))
	must(connection.Deallocate(background, "by_id"))
	drain(connection.Query(background, "select $1::int", pgx.QuerySimpleProtocol(true), 4))
	drain(connection.Query(background, "select id from sales.orders", pgx.QueryResultFormats{pgx.TextFormatCode}))
	transaction, err := connection.BeginTx(background, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadWrite, DeferrableMode: pgx.NotDeferrable})
	must(err)
	inner, err := transaction.Begin(background)
	must(err)
	_, err = inner.Exec(background, "insert into public.notes (body) values ($1)", "a")
	must(err)
	must(inner.Rollback(background))
	must(transaction.Commit(background))
	batch := &pgx.Batch{}
	batch.Queue("update public.notes set done = $1 where id = $2", true, 1)
	batch.Queue("select count(*) from public.notes")
	results := connection.SendBatch(background, batch)
	_, err = results.Exec()
	must(err)
	must(results.Close())
	_, err = connection.CopyFrom(background, pgx.Identifier{"public", "notes"}, []string{"body", "done"}, pgx.CopyFromRows([][]interface{}{{"copied", true}}))
	must(err)
	_, err = connection.Exec(background, "listen here")
	must(err)
	composite, err := pgtype.NewCompositeType("address", []pgtype.CompositeTypeField{{Name: "street", OID: pgtype.TextOID}, {Name: "city", OID: pgtype.VarcharOID}, {Name: "zip", OID: pgtype.Int4OID}}, connection.ConnInfo())
	must(err)
	var oid uint32
	must(connection.QueryRow(background, "select 'sales.address'::regtype::oid").Scan(&oid))
	connection.ConnInfo().RegisterDataType(pgtype.DataType{Value: composite, Name: "address", OID: oid})
	must(connection.Close(background))

	pool, err := pgxpool.Connect(background, url+"&pool_max_conns=2&statement_cache_mode=describe&application_name=app")
	must(err)
	drain(pool.Query(background, "select now(), $1::text", "x"))
	must(pool.BeginFunc(background, func(tx pgx.Tx) error {
		_, err := tx.Exec(background, "select id from public.notes where id = 1 for update")
		return err
	}))
	pool.Close()
}
