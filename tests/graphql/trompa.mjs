// A server of TROMPA's kind: Apollo Server before an Express of old, GraphQL at `/`, subscriptions at `/graphql` by both
// protocols. It knows nothing of tokens, and says which fields at the root of operations it has run.
import { createServer } from "node:http";

import { requireFrom, serve } from "../systems/lines.mjs";
import { listening, sockets, uploads } from "./serving.mjs";
import { trompaSchema } from "./trompa_schema.mjs";

const old = requireFrom("node-graphql-old");
const graphql = old("graphql");
const express = old("express");
const { ApolloServer } = old("apollo-server-express");

let ran = [];
const { schema, counted } = trompaSchema(graphql, (kind, field) => ran.push(`${kind}.${field}`));

const app = express();
app.get("/health", (_, answer) => answer.json({ message: "OK" }));
// Multipart requests were taken by its servers of old, and are by many of today.
app.use(uploads(old));
const apollo = new ApolloServer({ schema, introspection: true });
await apollo.start();
apollo.applyMiddleware({ app, path: "/", cors: { origin: "*" } });
app.get("/:identifier", (request, answer) => answer.json({ identifier: request.params.identifier }));

const server = createServer(app);
sockets(server, old, { "/graphql": schema });
const port = await listening(server);

await serve({
  port: () => port,
  counted: () => counted,
  // What ran since this was asked last.
  ran: () => {
    const before = ran;
    ran = [];
    return before;
  },
});
