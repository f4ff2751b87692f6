'use strict';
/** Connects and calls once, so that the code for it is compiled when it is recorded. */
module.exports = function useGrpc(grpc) {
  const server = new grpc.Server();
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const same = (bytes) => bytes;
    client.waitForReady(Date.now() + 10_000, (late) => {
      if (late !== undefined) throw late;
      client.makeUnaryRequest('/none', same, same, Buffer.alloc(0), () => {
        client.close();
        server.forceShutdown();
      });
    });
  });
};
