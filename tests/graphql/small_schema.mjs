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
  // What is of several types: a vault, and the door before it.
  const named = new graphql.GraphQLInterfaceType({
    name: "Named",
    fields: { name: { type: String } },
    resolveType: (value) => value.kind,
  });
  const kind = (name, fields) =>
    new graphql.GraphQLObjectType({ name, interfaces: [named], fields: { name: said(name, "name"), ...fields } });
  const vault = kind("Vault", {});
  const door = kind("Door", { behind: { type: named, resolve: () => ({ kind: "Vault" }) } });
  const query = of("Query", "hello", "secret").toConfig();
  query.fields.named = { type: named, args, resolve: (_, { text }) => ({ kind: text ?? "Door" }) };
  query.fields.door = { type: door, resolve: () => ({ kind: "Door" }) };
  return new graphql.GraphQLSchema({
    query: new graphql.GraphQLObjectType(query),
    types: [vault, door],
    mutation: of("Mutation", "create", "erase"),
    subscription: new graphql.GraphQLObjectType({ name: "Subscription", fields: { ticks } }),
  });
}
