// The clients of Node: each does one operation, and what it then has or throws is said as one value,
// `{data}` or `{error: {name, status, codes, close}}`.
import { createHash } from "node:crypto";

import { requireFrom, serve } from "../systems/lines.mjs";

const today = requireFrom("node-graphql");
const { gql } = today("@apollo/client");
const core = today("@apollo/client/core");
const { BatchHttpLink } = today("@apollo/client/link/batch-http");
const { PersistedQueryLink } = today("@apollo/client/link/persisted-queries");
const { GraphQLWsLink } = today("@apollo/client/link/subscriptions");
const urql = today("@urql/core");
const { GraphQLClient } = today("graphql-request");
const { createClient: messages } = today("graphql-ws");
const { createClient: events } = today("graphql-sse");
const { SubscriptionClient } = today("subscriptions-transport-ws");
const WebSocket = today("ws");


// A client that could not take part says so by itself otherwise.
globalThis.WebSocket = WebSocket;

const PATIENCE = 20_000;
const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {});
const kindOf = (query) => query.match(/^\s*(mutation|subscription)?/)[1] ?? "query";

/** What a client's error says, wherever it keeps it. */
function described(error) {
  const held = [error, error.networkError, error.cause, error.response].filter((one) => one && typeof one === "object");
  const errors = held.flatMap((one) => {
    if (Array.isArray(one)) return one;
    return one.errors ?? one.graphQLErrors ?? (one.extensions ? [one] : []);
  });
  const status = held.map((one) => one.statusCode ?? one.status ?? one.response?.status).find((one) => one !== undefined);
  return {
    name: error.name ?? error.constructor?.name ?? typeof error,
    message: error.message ?? JSON.stringify(error),
    status: status ?? null,
    codes: errors.map((one) => one?.extensions?.code ?? null),
    close: typeof error.code === "number" ? error.code : null,
  };
}

/** Ends what hangs, and says instead of throwing. */
async function told(doing) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error("nothing came")), PATIENCE);
  });
  try {
    return { data: await Promise.race([doing(), late]) };
  } catch (error) {
    return { error: described(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** The first `most` values of something that is subscribed to. */
const first = (most, subscribe) =>
  new Promise((done, fail) => {
    const values = [];
    let end = () => {};
    const next = (value) => {
      values.push(value);
      if (values.length === most) {
        setTimeout(() => end(), 0);
        done(values);
      }
    };
    end = subscribe({ next, error: fail, complete: () => done(values) });
  });

const socket = (url, token, more = {}) =>
  messages({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, connectionParams: bearer(token), retryAttempts: 0, ...more });

/** One operation by Apollo Client over this link. */
async function apollo(link, query, most = 2) {
  const client = new core.ApolloClient({ cache: new core.InMemoryCache(), link });
  const document = gql(query);
  const alone = { fetchPolicy: "no-cache" };
  try {
    switch (kindOf(query)) {
      case "mutation":
        return (await client.mutate({ mutation: document, ...alone })).data;
      case "subscription":
        return await first(most, (sink) => {
          const next = ({ data, error }) => (error ? sink.error(error) : sink.next(data));
          const subscribed = client.subscribe({ query: document, ...alone }).subscribe({ ...sink, next });
          return () => subscribed.unsubscribe();
        });
      default:
        return (await client.query({ query: document, ...alone })).data;
    }
  } finally {
    client.stop();
  }
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** By the name of the client: one operation. */
const clients = {
  apollo: ({ url, query, token }) => apollo(new core.HttpLink({ uri: url, headers: bearer(token) }), query),
  apollo_persisted: ({ url, query, token }) =>
    apollo(new PersistedQueryLink({ sha256 }).concat(new core.HttpLink({ uri: url, headers: bearer(token) })), query),
  apollo_socket: async ({ url, query, token }) => {
    const client = socket(url, token);
    try {
      return await apollo(new GraphQLWsLink(client), query);
    } finally {
      await client.dispose();
    }
  },
  urql: async ({ url, query, token }) => {
    const client = urql.createClient({ url, exchanges: [urql.fetchExchange], fetchOptions: { headers: bearer(token) }, preferGetMethod: false });
    const { data, error } = await client[kindOf(query)](query, {}).toPromise();
    if (error) throw error;
    return data;
  },
  urql_get: async ({ url, query, token }) => {
    const client = urql.createClient({ url, exchanges: [urql.fetchExchange], fetchOptions: { headers: bearer(token) }, preferGetMethod: "force" });
    const { data, error } = await client[kindOf(query)](query, {}).toPromise();
    if (error) throw error;
    return data;
  },
  request: ({ url, query, token }) => new GraphQLClient(url, { headers: bearer(token) }).request(query),
  messages: async ({ url, query, token, most = 2 }) => {
    const client = socket(url, token);
    try {
      return await first(kindOf(query) === "subscription" ? most : 1, (sink) => {
        const next = ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data));
        return client.subscribe({ query }, { ...sink, next });
      });
    } finally {
      await client.dispose();
    }
  },
  elder_messages: ({ url, query, token, most = 2 }) =>
    first(kindOf(query) === "subscription" ? most : 1, (sink) => {
      const client = new SubscriptionClient(url.replace("http", "ws"), { connectionParams: bearer(token), connectionCallback: (error) => error && sink.error(error), reconnect: false }, WebSocket);
      const next = ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data));
      client.request({ query }).subscribe({ ...sink, next });
      return () => client.close();
    }),
  events: async ({ url, query, token, most = 2 }) => {
    const client = events({ url, headers: bearer(token), retryAttempts: 0 });
    try {
      return await first(kindOf(query) === "subscription" ? most : 1, (sink) => {
        const next = ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data));
        return client.subscribe({ query }, { ...sink, next });
      });
    } finally {
      client.dispose();
    }
  },
};

/**
 * Operations at once over one event stream that is reserved, by one client: what came of each, and what was sent and answered
 * with which status.
 */
async function reserved({ url, operations, token }) {
  const sent = [];
  const fetchFn = async (to, init) => {
    const answer = await fetch(to, init);
    sent.push(`${init.method} ${answer.status}`);
    return answer;
  };
  const client = events({ url, headers: bearer(token), retryAttempts: 0, singleConnection: true, lazyCloseTimeout: 200, fetchFn });
  const one = (query) =>
    first(kindOf(query) === "subscription" ? 2 : 1, (sink) => {
      const next = ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data));
      return client.subscribe({ query }, { ...sink, next });
    });
  // What is unsubscribed from is ended by a request of its own.
  const lasting = operations.filter((query) => kindOf(query) === "subscription").length;
  const ended = () => sent.filter((request) => request.startsWith("DELETE")).length;
  try {
    const came = await Promise.all(operations.map((query) => told(() => one(query))));
    for (let waits = 0; waits < 250 && ended() < lasting; waits += 1) await new Promise((done) => setTimeout(done, 20));
    return { came, sent: sent.sort() };
  } finally {
    client.dispose();
  }
}

/** Two operations of Apollo Client that go out as one list. */
const batch = ({ url, queries, token }) => {
  const link = new BatchHttpLink({ uri: url, headers: bearer(token), batchInterval: 20 });
  const client = new core.ApolloClient({ cache: new core.InMemoryCache(), link });
  const one = (query) => {
    const document = gql(query);
    return kindOf(query) === "mutation" ? client.mutate({ mutation: document, fetchPolicy: "no-cache" }) : client.query({ query: document, fetchPolicy: "no-cache" });
  };
  return Promise.all(queries.map((query) => told(async () => (await one(query)).data)));
};

/** A subscription that outlives its token: `tokens` are given one a connection, the last for every other. */
async function outlive({ url, query, tokens }) {
  const closed = [];
  let inits = 0;
  const connectionParams = () => bearer(tokens[Math.min(inits++, tokens.length - 1)]);
  const client = socket(url, null, {
    connectionParams,
    retryAttempts: 5,
    retryWait: () => Promise.resolve(),
    on: { closed: ({ code, reason }) => closed.push({ code, reason }) },
  });
  try {
    // Until values have come over a second connection.
    const values = await told(() =>
      new Promise((done, fail) => {
        const seen = [];
        let after = 0;
        client.subscribe({ query }, {
          next: ({ data }) => {
            seen.push(data);
            if (inits > 1) after += 1;
            if (after === 2) done(seen.length);
          },
          error: fail,
          complete: () => fail(new Error("it was completed")),
        });
      }),
    );
    return { closed, inits, values };
  } finally {
    await client.dispose();
  }
}

/** The same of a subscription by an event stream. */
async function outlive_events({ url, query, tokens }) {
  let asked = 0;
  const headers = () => bearer(tokens[Math.min(asked++, tokens.length - 1)]);
  const client = events({ url, headers, retryAttempts: 5, retry: () => Promise.resolve() });
  try {
    const values = await told(() =>
      new Promise((done, fail) => {
        let [seen, after] = [0, 0];
        client.subscribe({ query }, {
          next: ({ errors }) => {
            if (errors) fail(errors);
            seen += 1;
            if (asked > 1) after += 1;
            if (after === 2) done(seen);
          },
          error: fail,
          complete: () => fail(new Error("it was completed")),
        });
      }),
    );
    return { asked, values };
  } finally {
    client.dispose();
  }
}

await serve({
  run: ({ client, ...rest }) => told(() => clients[client](rest)),
  batch,
  outlive,
  outlive_events,
  reserved,
});
