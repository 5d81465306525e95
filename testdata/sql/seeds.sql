SELECT 1
;
SELECT a, b AS c, t.*, count(*) FROM s.t AS t JOIN u USING (id) WHERE a = 1 AND b IN (1, 2) GROUP BY 1 HAVING count(*) > 1 ORDER BY a DESC NULLS LAST LIMIT 10 OFFSET 5
;
SELECT DISTINCT ON (a) a, (b).c, (d[1:2]).e, f(x => 1, y := 2), g(VARIADIC z), h(DISTINCT a ORDER BY b) FILTER (WHERE c) OVER (PARTITION BY d ORDER BY e ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM t WINDOW w AS (PARTITION BY a)
;
SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END, CASE WHEN a IS NULL THEN 1 END, CAST(a AS numeric(10, 2)), a::int[], b::timestamp(3) with time zone, double precision '1.5', interval '1' year to month, date '2020-01-01', s.typ 'x', e::interval second(3)
;
SELECT a BETWEEN 1 AND 2 AND b NOT BETWEEN SYMMETRIC 3 AND 4, a LIKE 'x' ESCAPE '!', b NOT ILIKE 'y', c SIMILAR TO 'z', d IS DISTINCT FROM e, f IS NOT TRUE, g ISNULL, h IS NFC NORMALIZED, i IS DOCUMENT, j IS JSON OBJECT WITH UNIQUE KEYS FROM t
;
SELECT a = ANY (ARRAY[1, 2]), b <> ALL (SELECT x FROM u), c OPERATOR(pg_catalog.+) d, - e, NOT f, @ g, h AT TIME ZONE 'UTC', i AT LOCAL, j COLLATE "C", (k, l) OVERLAPS (m, n), (o, p) = ROW(1, 2), EXISTS (SELECT 1 FROM v) FROM t
;
SELECT extract(year FROM a), overlay(a PLACING b FROM 1 FOR 2), position('a' IN b), substring(a FROM 1 FOR 2), substring(a, 1), substring(a SIMILAR b ESCAPE c), trim(LEADING 'x' FROM a), trim(a), normalize(a, NFC), treat(a AS t), coalesce(a, b), nullif(a, b), greatest(a, b), COLLATION FOR (a), grouping(a)
;
SELECT current_date, current_timestamp(3), localtime, user, current_schema, session_user, current_catalog
;
SELECT xmlelement(NAME a, xmlattributes(b AS c), d), xmlforest(a AS b), xmlparse(DOCUMENT a), xmlserialize(CONTENT a AS text), xmlroot(a, VERSION NO VALUE), xmlpi(NAME a), xmlconcat(a, b), xmlexists('x' PASSING a)
;
SELECT json_object('a': 1, 'b': 2 NULL ON NULL WITH UNIQUE KEYS RETURNING jsonb), json_array(1, 2 ABSENT ON NULL), json_arrayagg(a ORDER BY b) FILTER (WHERE c), json_objectagg(a: b), json_scalar(a), json_serialize(a), json(a), json_value(a, '$' PASSING 1 AS x RETURNING int DEFAULT 0 ON EMPTY), json_query(a, '$' WITH WRAPPER), json_exists(a, '$' TRUE ON ERROR)
;
SELECT * FROM a, ONLY b, c *, LATERAL f(1) WITH ORDINALITY AS g(x, y), ROWS FROM (f(1), h(2) AS (a int, b text)) AS r, i(3) AS (z int), (SELECT 1) AS s, (a CROSS JOIN b) AS j, t TABLESAMPLE system(1) REPEATABLE (2), xmltable('/x' PASSING a COLUMNS b int PATH 'c' DEFAULT 1 NOT NULL, d FOR ORDINALITY)
;
SELECT * FROM a NATURAL LEFT OUTER JOIN b RIGHT JOIN c ON a.x = c.x FULL JOIN (d JOIN e ON true) ON false CROSS JOIN f JOIN g JOIN h ON 1 = 1 ON 2 = 2
;
SELECT * FROM json_table('{}', '$' COLUMNS (a int PATH '$.a', NESTED PATH '$.b' COLUMNS (c text), o FOR ORDINALITY)) AS t
;
SELECT 1 UNION ALL (SELECT 2 ORDER BY 1) INTERSECT VALUES (3) EXCEPT TABLE t ORDER BY 1 FETCH FIRST 2 ROWS WITH TIES
;
((SELECT a FROM t) UNION (SELECT b FROM u)) LIMIT 1
;
SELECT ((SELECT 1) + 2), ((SELECT 1 FROM t) UNION SELECT 2), (((SELECT x FROM y)))
;
WITH a AS (SELECT 1 FROM t), b (x, y) AS MATERIALIZED (SELECT * FROM a), c AS NOT MATERIALIZED (TABLE b) SELECT * FROM a, b, c, d
;
WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c TO true DEFAULT false USING p SELECT * FROM r, q
;
WITH RECURSIVE a AS (SELECT * FROM b), b AS (WITH a AS (SELECT * FROM b) SELECT * FROM a, c) SELECT * FROM a
;
WITH t AS (SELECT * FROM t) SELECT * FROM t, (WITH t AS (SELECT * FROM u) SELECT * FROM t) x
;
WITH d AS (DELETE FROM t WHERE a = 1 RETURNING *), i AS (INSERT INTO u SELECT * FROM d RETURNING 1), p AS (UPDATE v SET a = 1 RETURNING a) SELECT * FROM d, i, p
;
SELECT a INTO TEMP x FROM t WHERE b
;
SELECT FROM t
;
SELECT * FROM t, u WHERE t.a = u.b FOR UPDATE OF t NOWAIT FOR NO KEY UPDATE SKIP LOCKED
;
SELECT a FROM t GROUP BY DISTINCT ROLLUP (a, b), CUBE (c), GROUPING SETS ((a), (), ROLLUP (d))
;
SELECT a end, b "from", c left_ FROM t x (a, b), u y
;
SELECT values, "left", int FROM row, replace, interval
;
INSERT INTO t (a, b.c, d[1]) OVERRIDING SYSTEM VALUE VALUES (1, DEFAULT, 'x'), (2, (SELECT 1 FROM u), f(3)) ON CONFLICT (a, lower(b) COLLATE "C" text_ops) WHERE c DO UPDATE SET a = excluded.a, (b, c) = (1, DEFAULT), (d) = ROW(2) WHERE t.x RETURNING *, a AS b
;
INSERT INTO t AS x DEFAULT VALUES ON CONFLICT ON CONSTRAINT c DO NOTHING
;
INSERT INTO t (SELECT 1 FROM u)
;
INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x, y
;
UPDATE ONLY s.t AS x SET a = DEFAULT, b.c = 1, (d, e) = (SELECT 1, 2 FROM u), f[1] = 2 FROM v JOIN w ON v.a = w.a WHERE x.a = v.a RETURNING WITH (OLD AS o, NEW AS n) o.a, n.b
;
UPDATE t SET a = 1 WHERE CURRENT OF c
;
DELETE FROM t * x USING u, v WHERE x.a = u.a AND f(b)
;
WITH x AS (SELECT 1 FROM y) MERGE INTO t AS a USING x JOIN z ON x.b = z.b ON a.c = x.c WHEN MATCHED AND a.d THEN UPDATE SET e = 1 WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (f) VALUES (DEFAULT) RETURNING merge_action()
;
VALUES (1, 'a'), (2, 'b') ORDER BY 1 LIMIT ALL
;
TABLE ONLY t
;
SELECT 1 LIMIT (SELECT 2) OFFSET 1 ROWS
;
SELECT * FROM t ORDER BY a USING <, b USING OPERATOR(s.>) NULLS FIRST
;
EXPLAIN (ANALYZE, BUFFERS off) SELECT * FROM t
;
EXPLAIN DELETE FROM t
;
EXPLAIN ANALYZE UPDATE t SET a = 1
;
COPY (SELECT * FROM t) TO STDOUT WITH (FORMAT csv, HEADER)
;
COPY s.t (a, b) FROM STDIN WHERE a > 1
;
PREPARE p (int) AS SELECT $1 FROM t
;
DECLARE c BINARY SCROLL CURSOR WITH HOLD FOR SELECT * FROM t FOR SHARE
;
CREATE TEMP TABLE x ON COMMIT DROP AS SELECT * FROM t WITH NO DATA
;
CREATE TEMP TABLE x (a int PRIMARY KEY DEFAULT f(1), b text COLLATE "C" NOT NULL CHECK (g(b)), c int GENERATED ALWAYS AS (a + 1) STORED, UNIQUE (a, b), FOREIGN KEY (a) REFERENCES t (b) ON DELETE CASCADE, LIKE u)
