// A schema of the shape of TROMPA's: 42 types of nodes, 12 interfaces, 3,700 mutation fields, 56 queries and 6
// subscriptions. The names are the common ones of schema.org and our own list of relations, and nothing of the project's
// own schema was copied: how many there are of what is what counts.

const NODES = `
  Person Place Organization MusicComposition MusicAlbum MusicGroup MusicRecording MusicPlaylist DigitalDocument MediaObject
  AudioObject VideoObject ImageObject Event Action ControlAction AddAction DeleteAction ReplaceAction Annotation
  AnnotationMotivation AnnotationCollection Rating Review DefinedTerm DefinedTermSet Property PropertyValue
  PropertyValueSpecification EntryPoint ItemList ListItem SoftwareApplication Product Occupation Dataset DataDownload
  Audience Article CreativeWork Intangible DataCatalog`.match(/\w+/g);

const INTERFACES = `
  ThingInterface ActionInterface AgentInterface LegalPersonInterface CreativeWorkInterface SearchableInterface
  MediaObjectInterface OrganizationInterface PerformerInterface MetadataInterface ProvenanceEntityInterface
  ProvenanceAgentInterface`.match(/\w+/g);

// 28 for each type, and one more for one of them: 1,177 in all.
const RELATIONS = `
  composer author contributor creator publisher schema_publisher lyricist arranger editor sponsor funder maintainer
  producer provider translator character about mentions isPartOf hasPart license audience exampleOfWork workExample
  recordedAt broadOf subjectOf wasDerivedFrom wasAttributedTo`.match(/\w+/g);

const SUBSCRIPTIONS = `
  ThingCreateMutation ControlActionRequest ControlActionMutation MediaObjectCreateMutation AudioObjectCreateMutation
  VideoObjectCreateMutation`.match(/\w+/g);

const capitalised = (name) => name[0].toUpperCase() + name.slice(1);

/** Type and field of every relation. */
function relations() {
  const all = NODES.flatMap((type) => RELATIONS.slice(0, 28).map((field) => [type, field]));
  return [...all, [NODES[3], RELATIONS[28]]];
}

/** The schema, by this graphql; every field at the root says through `runs(kind, field)` that it runs. */
export function trompaSchema(graphql, runs) {
  const { GraphQLID: ID, GraphQLString: String, GraphQLInt: Int, GraphQLList, GraphQLNonNull } = graphql;
  const needed = new GraphQLNonNull(ID);
  const things = { identifier: { type: ID }, name: { type: String }, title: { type: String } };
  const interfaces = new Map(
    INTERFACES.map((name) => [
      name,
      new graphql.GraphQLInterfaceType({ name, fields: things, resolveType: () => "Person" }),
    ]),
  );
  const thing = interfaces.get("ThingInterface");
  const nodes = new Map(
    NODES.map((name) => [
      name,
      new graphql.GraphQLObjectType({
        name,
        interfaces: [thing],
        fields: () => ({ ...things, relatedTo: { type: thing, resolve: () => ({ identifier: "2", name: "b" }) } }),
      }),
    ]),
  );
  const inputs = new Map(
    [...NODES, ...INTERFACES].map((name) => [
      name,
      new graphql.GraphQLInputObjectType({ name: `_${name}Input`, fields: { identifier: { type: needed } } }),
    ]),
  );
  const texts = `
    name title contributor creator source subject format description image alternateName familyName givenName gender`;
  const properties = Object.fromEntries(texts.match(/\w+/g).map((name) => [name, { type: String }]));
  const values = { en: {}, nl: {}, de: {}, fr: {}, es: {}, ca: {} };
  properties.language = { type: new graphql.GraphQLEnumType({ name: "AvailableLanguage", values }) };
  const field = (kind, name, type, args, value) => [
    name,
    {
      type,
      args,
      resolve: () => {
        runs(kind, name);
        return value;
      },
    },
  ];
  const mutation = (name, type, args, value) => field("Mutation", name, type, args, value);
  const node = { identifier: "1", name: "a" };

  const mutations = [...nodes].flatMap(([name, type]) => [
    mutation(`Create${name}`, type, { identifier: { type: ID }, ...properties }, node),
    mutation(`Update${name}`, type, { identifier: { type: needed }, ...properties }, node),
    mutation(`Merge${name}`, type, { identifier: { type: needed }, ...properties }, node),
    mutation(`Delete${name}`, type, { identifier: { type: needed } }, node),
  ]);
  for (const [from, name] of relations()) {
    const of = `${from}${capitalised(name)}`;
    const to = INTERFACES[RELATIONS.indexOf(name) % INTERFACES.length];
    const ends = {
      from: { type: new GraphQLNonNull(inputs.get(from)) },
      to: { type: new GraphQLNonNull(inputs.get(to)) },
    };
    for (const act of ["Add", "Merge", "Remove"]) {
      const type = new graphql.GraphQLObjectType({
        name: `_${act}${of}Payload`,
        fields: { from: { type: nodes.get(from) }, to: { type: interfaces.get(to) } },
      });
      mutations.push(mutation(`${act}${of}`, type, ends, { from: node, to: node }));
    }
  }
  const request = { entryPointIdentifier: { type: ID }, potentialActionIdentifier: { type: ID } };
  mutations.push(mutation("RequestControlAction", nodes.get("ControlAction"), request, node));

  const found = { identifier: { type: ID }, name: { type: String }, first: { type: Int }, offset: { type: Int } };
  const search = { substring: { type: String }, ...found };
  const list = (type) => new GraphQLList(type);
  const queries = [
    ...[...nodes, ...interfaces].map(([name, type]) => field("Query", name, list(type), found, [node])),
    field("Query", "personBySubstring", list(nodes.get("Person")), search, [node]),
    field("Query", "searchMetadataText", list(interfaces.get("MetadataInterface")), search, [node]),
  ];
  const subscriptions = SUBSCRIPTIONS.map((name) => [
    name,
    {
      type: nodes.get("ControlAction"),
      args: { entryPointIdentifier: { type: ID } },
      subscribe: async function* () {
        runs("Subscription", name);
        for (let count = 1; ; count += 1) {
          yield { identifier: `${count}`, name: "a" };
          await new Promise((done) => setTimeout(done, 100));
        }
      },
      resolve: (event) => event,
    },
  ]);

  const counted = { nodes: nodes.size, interfaces: interfaces.size, mutations: count(mutations), queries: count(queries) };
  counted.subscriptions = count(subscriptions);
  const root = (name, fields) => new graphql.GraphQLObjectType({ name, fields: Object.fromEntries(fields) });
  const schema = new graphql.GraphQLSchema({
    query: root("Query", queries),
    mutation: root("Mutation", mutations),
    subscription: root("Subscription", subscriptions),
    types: [...nodes.values()],
  });
  return { schema, counted };
}

/** How many names, of which none may come twice. */
function count(fields) {
  const names = new Set(fields.map(([name]) => name));
  if (names.size !== fields.length) throw new Error(`a name comes twice among ${fields.length}`);
  return names.size;
}
