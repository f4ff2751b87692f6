# A stand-in for local_proxy: locks its pid file, reads its config at the start and at each SIGHUP, and notes what it read.
import fcntl, json, os, signal, sys

pid_file, config, notes, locked = sys.argv[1:5]


def read(*_):
    try:
        text = open(config).read()
    except FileNotFoundError:
        text = None
    with open(notes, "a") as out:
        out.write(json.dumps(text) + "\n")


signal.signal(signal.SIGHUP, read)
lock = open(pid_file, "w")
if locked == "true":
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
lock.write(str(os.getpid()))
lock.flush()
read()
while True:
    signal.pause()
