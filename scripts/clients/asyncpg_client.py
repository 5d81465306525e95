"""asyncpg: connecting, the types it looks up, pools and their reset, cursors, copying."""

import asyncio
import os

import asyncpg


async def main():
    url = os.environ["DATABASE_URL"]
    connection = await asyncpg.connect(url)
    await connection.fetch("select id, name, mood, home, tags, settings from sales.customers where id = $1", 1)
    await connection.fetchval("select $1::sales.price_range", asyncpg.Range(1, 2))
    await connection.set_type_codec("jsonb", encoder=str, decoder=str, schema="pg_catalog")
    await connection.set_type_codec("mood", schema="sales", encoder=str, decoder=str)
    await connection.set_builtin_type_codec("hstore", codec_name="pg_contrib.hstore")
    await connection.fetch("select attributes from sales.customers")
    await connection.reload_schema_state()
    statement = await connection.prepare("select * from sales.orders where quantity > $1 and placed_on > $2")
    statement.get_attributes(), statement.get_parameters()
    import datetime

    await statement.fetch(3, datetime.date(2024, 1, 1))
    await statement.explain(3, datetime.date(2024, 1, 1))
    async with connection.transaction(isolation="repeatable_read", readonly=True, deferrable=False):
        async for _ in connection.cursor("select * from sales.orders", prefetch=4):
            pass
        cursor = await connection.cursor("select * from sales.orders")
        await cursor.forward(3)
        await cursor.fetch(2)
    async with connection.transaction():
        async with connection.transaction():
            await connection.execute("update public.notes set done = $1 where id = $2", True, 1)
    await connection.executemany("insert into public.notes (body) values ($1)", [("a",), ("b",)])
    await connection.copy_records_to_table("notes", records=[("copied", True)], columns=["body", "done"])
    await connection.copy_from_query("select * from sales.orders where id < $1", 5, output=os.devnull)
    await connection.copy_from_table("orders", schema_name="sales", columns=["id"], output=os.devnull)
    await connection.add_listener("here", lambda *_: None)
    await connection.execute("notify here")
    await connection.reset()
    await connection.close()
    async with asyncpg.create_pool(url, min_size=1, max_size=2, server_settings={"jit": "off"}) as pool:
        for _ in range(2):
            async with pool.acquire() as connection:
                await connection.fetchrow("select now(), $1::int[]", [1, 2])


asyncio.run(main())
