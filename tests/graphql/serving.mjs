// What the servers here have in common.

/** The port that it listens at. */
export async function listening(server) {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server.address().port;
}

/** Multipart requests, by graphql-upload of this directory. */
export const uploads = (from) => {
  const { graphqlUploadExpress } = from("graphql-upload");
  return graphqlUploadExpress({ maxFileSize: 1000, maxFiles: 1 });
};

/** WebSockets at these paths by both protocols, as the servers of many projects have them. */
export function sockets(server, from, schemas) {
  const { execute, subscribe } = from("graphql");
  const { WebSocketServer } = from("ws");
  const { useServer } = from("graphql-ws/lib/use/ws");
  const { SubscriptionServer } = from("subscriptions-transport-ws");
  const paths = Object.entries(schemas).map(([path, schema]) => {
    const [elder, newer] = ["graphql-ws", "graphql-transport-ws"].map(
      (protocol) => new WebSocketServer({ noServer: true, handleProtocols: () => protocol }),
    );
    SubscriptionServer.create({ schema, execute, subscribe }, elder);
    useServer({ schema, execute, subscribe }, newer);
    return [path, elder, newer];
  });
  server.on("upgrade", (request, socket, head) => {
    const known = paths.find(([path]) => path === new URL(request.url, "http://any").pathname);
    if (!known) return socket.destroy();
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/\s*,\s*/);
    const chosen = offered.includes("graphql-transport-ws") ? known[2] : known[1];
    return chosen.handleUpgrade(request, socket, head, (opened) => chosen.emit("connection", opened, request));
  });
}
