/** A schema of a few fields, by this graphql; every field at the root says through `runs` that it runs. */
export function smallSchema(graphql, runs) {
  const { GraphQLInt: Int, GraphQLString: String } = graphql;
  const args = { text: { type: String } };
  const said = (kind, name) => ({
    type: String,
    args,
    resolve: (_, { text }) => {
      runs(`${kind}.${name}`);
      return text ?? name;
    },
  });
  const of = (kind, ...names) =>
    new graphql.GraphQLObjectType({
      name: kind,
      fields: Object.fromEntries(names.map((name) => [name, said(kind, name)])),
    });
  const ticks = {
    type: Int,
    args: { most: { type: Int } },
    subscribe: async function* (_, { most }) {
      runs("Subscription.ticks");
      for (let ticks = 1; most == null || ticks <= most; ticks += 1) {
        yield { ticks };
        await new Promise((done) => setTimeout(done, 50));
      }
    },
  };
  return new graphql.GraphQLSchema({
    query: of("Query", "hello", "secret"),
    mutation: of("Mutation", "create", "erase"),
    subscription: new graphql.GraphQLObjectType({ name: "Subscription", fields: { ticks } }),
  });
}
