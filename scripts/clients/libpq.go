// lib/pq: database/sql over it: connecting, statements, transactions, copying, listening.
package main

import (
	"context"
	"database/sql"
	"os"
	"time"

	"github.com/lib/pq"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func drain(rows *sql.Rows, err error) {
	must(err)
	_, err = rows.ColumnTypes()
	must(err)
	for rows.Next() {
	}
	must(rows.Close())
}

func main() {
	background := context.Background()
	url := os.Getenv("DATABASE_URL") + "?sslmode=disable"
	database, err := sql.Open("postgres", url+"&application_name=app&search_path=public")
	must(err)
	must(database.Ping())
	drain(database.Query("select id, name from sales.customers where id = $1 and name = any($2)", 1, pq.Array([]string{"customer 1"})))
	drain(database.Query("select 1; select 2"))
	statement, err := database.Prepare("select * from sales.orders where id = $1")
	must(err)
	drain(statement.Query(2))
	must(statement.Close())
	transaction, err := database.BeginTx(background, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: false})
	must(err)
	_, err = transaction.Exec("insert into public.notes (body) values ($1)", "a")
	must(err)
	must(transaction.Commit())
	transaction, err = database.BeginTx(background, &sql.TxOptions{ReadOnly: true})
	must(err)
	drain(transaction.Query("select count(*) from public.notes"))
	must(transaction.Rollback())
	transaction, err = database.Begin()
	must(err)
	copying, err := transaction.Prepare(pq.CopyIn("notes", "body", "done"))
	must(err)
	_, err = copying.Exec("copied", true)
	must(err)
	_, err = copying.Exec()
	must(err)
	must(copying.Close())
	must(transaction.Commit())
	listener := pq.NewListener(url, time.Second, time.Second, nil)
	must(listener.Listen("here"))
	must(listener.Ping())
	must(listener.Unlisten("here"))
	must(listener.Close())
	must(database.Close())
	binary, err := sql.Open("postgres", url+"&binary_parameters=yes")
	must(err)
	drain(binary.Query("select $1::int + 1", 1))
	must(binary.Close())
}
