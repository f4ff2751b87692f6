"""A client with a pool that survives a database that sleeps: it does nothing about it.

    pip install "psycopg[binary,pool]"
    DATABASE_URL=$(compute-local url) python3 examples/pool.py ROUNDS SECONDS

Between two rounds it leaves its connections idle for SECONDS: with more than --suspend-after, Postgres is stopped meanwhile.
"""

import os
import sys
import time

from psycopg_pool import ConnectionPool

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3

with ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=4) as pool:
    pool.wait()
    for number in range(1, rounds + 1):
        if number > 1:
            time.sleep(seconds)
        begin = time.monotonic()
        with pool.connection() as connection:
            process, again = connection.execute("select pg_backend_pid(), %s::int", [number]).fetchone()
        print(f"round {again}: server process {process}, {(time.monotonic() - begin) * 1000:.0f} ms")
