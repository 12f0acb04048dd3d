// Servers of old, each at a path of its own, and handlers as they stand in many a project: they do not read a request alike.
import { createServer } from "node:http";

import { requireFrom, serve } from "../systems/lines.mjs";
import { listening, sockets, uploads } from "./serving.mjs";
import { smallSchema } from "./small_schema.mjs";

const old = requireFrom("node-graphql-old");
const graphql = old("graphql");
const express = old("express");
const { graphqlHTTP } = old("express-graphql");
const { ApolloServer } = old("apollo-server-express");

let ran = [];
const schema = smallSchema(graphql, (field) => ran.push(field));
const app = express();

// What stands in the URL goes before the body.
app.use("/express-graphql", graphqlHTTP({ schema }));
// Whatever comes is taken for JSON, as it is where clients send `text/plain` to be spared a preflight.
app.use("/any-type", express.json({ type: () => true }), graphqlHTTP({ schema }));
// Lists, persisted queries, and uploads by multipart.
app.use("/apollo", uploads(old));
const apollo = new ApolloServer({ schema });
await apollo.start();
apollo.applyMiddleware({ app, path: "/apollo" });
// A handler that asks neither for the method nor for anything else.
const run = ({ query, operationName }) => graphql.graphql({ schema, source: query, operationName });
app.use("/plain", express.json(), async (request, answer) => answer.json(await run({ ...request.body, ...request.query })));
// The names of members in whatever case, and the last counts: as encoding/json of Go has it, of which no package is here.
const folded = (_, value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value).map(([name, member]) => {
          const known = ["query", "operationName"].find((known) => known.toLowerCase() === name.toLowerCase());
          return [known ?? name, member];
        }),
      )
    : value;
app.use("/folding", express.text({ type: () => true }), async (request, answer) =>
  answer.json(await run(JSON.parse(request.body, folded))),
);
// A copy of what came, as many a handler makes one: what it lacks it finds in `__proto__`, which JSON may bring.
app.use("/assign", express.json(), async (request, answer) => {
  const { query, variables, operationName } = Object.assign({}, request.body);
  answer.json(await graphql.graphql({ schema, source: query, operationName, variableValues: variables }));
});

const server = createServer(app);
sockets(server, old, { "/messages": schema });
const port = await listening(server);

await serve({
  port: () => port,
  ran: () => {
    const before = ran;
    ran = [];
    return before;
  },
});
