// Servers of today: graphql-yoga with its subscriptions by event streams, Apollo Server, and mercurius with its own WebSockets.
import { createServer } from "node:http";

import { requireFrom, serve } from "../systems/lines.mjs";
import { listening } from "./serving.mjs";
import { smallSchema } from "./small_schema.mjs";

const today = requireFrom("node-graphql");
const graphql = today("graphql");
const { createYoga } = today("graphql-yoga");
const { ApolloServer } = today("@apollo/server");
const { startStandaloneServer } = today("@apollo/server/standalone");
const fastify = today("fastify");
const mercurius = today("mercurius");

let ran = [];
const schema = smallSchema(graphql, (field) => ran.push(field));

const yoga = await listening(createServer(createYoga({ schema, graphqlEndpoint: "/yoga", logging: false })));
const apolloServer = new ApolloServer({ schema, allowBatchedHttpRequests: true });
const { url } = await startStandaloneServer(apolloServer, { listen: { port: 0, host: "127.0.0.1" } });
const fast = fastify();
fast.register(mercurius, { schema, path: "/mercurius", subscription: true, allowBatchedQueries: true });
await fast.listen({ port: 0, host: "127.0.0.1" });

await serve({
  ports: () => ({ yoga, apollo: Number(new URL(url).port), mercurius: fast.server.address().port }),
  ran: () => {
    const before = ran;
    ran = [];
    return before;
  },
});
