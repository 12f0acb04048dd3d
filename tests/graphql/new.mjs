// Servers of today: graphql-yoga with its subscriptions by event streams, mercurius with its own WebSockets, and graphql-sse
// with streams that are reserved.
import { createServer } from "node:http";

import { requireFrom, serve } from "../systems/lines.mjs";
import { listening } from "./serving.mjs";
import { smallSchema } from "./small_schema.mjs";

const today = requireFrom("node-graphql");
const graphql = today("graphql");
const { createYoga } = today("graphql-yoga");
const fastify = today("fastify");
const mercurius = today("mercurius");
const { createHandler } = today("graphql-sse/lib/use/http");

let ran = [];
const schema = smallSchema(graphql, (field) => ran.push(field));

const yoga = await listening(createServer(createYoga({ schema, graphqlEndpoint: "/yoga", logging: false })));
const fast = fastify();
fast.register(mercurius, { schema, path: "/mercurius", subscription: { fullWsTransport: true }, allowBatchedQueries: true });
await fast.listen({ port: 0, host: "127.0.0.1" });

const events = await listening(createServer(createHandler({ schema })));

await serve({
  ports: () => ({ yoga, events, mercurius: fast.server.address().port }),
  ran: () => {
    const before = ran;
    ran = [];
    return before;
  },
});
