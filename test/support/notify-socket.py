# systemd's side of sd_notify(3): prints each datagram as a line of JSON, with the credentials that the kernel vouches for.
import array, json, os, socket, struct, sys

path = sys.argv[1]
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
server.bind(path)
os.chmod(path, 0o777)
print(json.dumps({"listening": path}), flush=True)
room = socket.CMSG_SPACE(struct.calcsize("3i")) + socket.CMSG_SPACE(16 * array.array("i").itemsize)
while True:
    data, ancillary, _, _ = server.recvmsg(65536, room)
    sender = None
    for level, kind, content in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            sender = struct.unpack("3i", content[: struct.calcsize("3i")])
        if kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            # The barrier: systemd-notify waits until its descriptor is closed.
            for descriptor in descriptors:
                os.close(descriptor)
    if sender is None:
        continue
    pid, uid, _ = sender
    variables = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
    print(json.dumps({"pid": pid, "uid": uid, "variables": variables}), flush=True)
