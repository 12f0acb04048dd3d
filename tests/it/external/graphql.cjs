// A GraphQL server and its auditor, both of graphql-http.
//
//   node graphql.cjs serve         answers on a loopback port, whose number it prints
//   node graphql.cjs audit URL     prints what every audit says of URL, a line each

const http = require('node:http');
const path = require('node:path');
const { createRequire } = require('node:module');

const modules = createRequire(path.join(process.env.PORTCULLIS_TOOLS, 'node', 'package.json'));

function serve() {
  const { GraphQLInt, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString } = modules('graphql');
  const { createHandler } = modules('graphql-http/lib/use/http');
  const said = {
    type: GraphQLString,
    args: {
      text: { type: new GraphQLNonNull(GraphQLString) },
      times: { type: GraphQLInt },
      tags: { type: new GraphQLList(GraphQLString) },
    },
    resolve: (_, { text, tags }) => [text, ...(tags ?? [])].join(' '),
  };
  const query = new GraphQLObjectType({
    name: 'Query',
    fields: { hello: { type: GraphQLString, resolve: () => 'world' }, said },
  });
  const mutation = new GraphQLObjectType({ name: 'Mutation', fields: { say: said } });
  const answer = createHandler({ schema: new GraphQLSchema({ query, mutation }) });
  const server = http.createServer((request, response) => {
    if (new URL(request.url, 'http://localhost').pathname === '/graphql') return answer(request, response);
    response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
}

async function audit(url) {
  const { serverAudits } = modules('graphql-http');
  for (const audit of serverAudits({ url, fetchFn: fetch })) {
    const { status, reason = '', response } = await audit.fn();
    const answered = response ? [response.status, response.headers.get('content-type'), await text(response)] : [];
    console.log(JSON.stringify([audit.id, audit.name, status, reason, ...answered]));
  }
}

async function text(response) {
  return response.bodyUsed ? '' : response.text();
}

const [command, url] = process.argv.slice(2);
if (command === 'serve') serve();
else audit(url);
