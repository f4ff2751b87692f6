# A pool of psycopg: for each line of stdin, all its connections query at the same time.
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from psycopg_pool import ConnectionPool

SIZE = 5
pool = ConnectionPool(sys.argv[1], min_size=SIZE, max_size=SIZE, kwargs={"autocommit": True}, open=True)
barrier = Barrier(SIZE)
seen = set()


def work(line):
    with pool.connection() as connection:
        barrier.wait()
        seen.add(id(connection))
        # Prepared by the server from the first time on.
        connection.execute(
            "insert into used values (%s, pg_backend_pid()) returning n", [f"python {line}"], prepare=True
        ).fetchone()


with ThreadPoolExecutor(SIZE) as threads:
    for line in sys.stdin:
        try:
            list(threads.map(work, [line.strip()] * SIZE))
            if len(seen) > SIZE:
                raise RuntimeError(f"{len(seen) - SIZE} connections were lost")
            print("ok", flush=True)
        except Exception as error:
            print(f"error: {error!r}", flush=True)
pool.close()
