// jexia-sdk-js in Node, against GATEWAY.
import { described, requirePackage, serve } from "./lines.mjs";

const { jexiaClient, dataOperations, UMSModule } = requirePackage("jexia-sdk-js/node");
const projectURL = process.env.GATEWAY;
const first = (observable) =>
  new Promise((done, failed) => {
    const subscription = observable.subscribe(done, failed);
    return subscription;
  });
let client, ds, ums;

const acts = {
  // With a key: `init` signs in. Without: `signIn` does, later.
  async init({ key, secret }) {
    [ds, ums] = [dataOperations(), new UMSModule()];
    client = await jexiaClient().init({ projectURL, key, secret }, ds, ums);
    return true;
  },
  signIn: ({ email, password }) => first(ums.signIn({ email, password, default: true })),
  read: ({ set }) => first(ds.dataset(set).select()),
  insert: ({ set, record }) => first(ds.dataset(set).insert([record])),
  update: ({ set, id, record }) =>
    first(ds.dataset(set).update(record).where((field) => field("id").isEqualTo(id))),
  delete: ({ set, id }) => first(ds.dataset(set).delete().where((field) => field("id").isEqualTo(id))),
  // So many at the same time: each of them refreshes when the token is over.
  reads: ({ set, count }) =>
    Promise.all(
      Array.from({ length: count }, () => first(ds.dataset(set).select()).then(() => "read", described)),
    ),
  // What the SDK holds, for tests that present it themselves.
  tokens: () => client.tokenManager.storage.getTokens(client.tokenManager.defaultAuthAlias),
  // Without its timer, so that it refreshes when a token is asked for.
  stopTimers() {
    const { refreshes } = client.tokenManager;
    refreshes.forEach((timer) => clearTimeout(timer));
    refreshes.clear();
  },
  terminate: () => client.terminate().then(() => true),
};

await serve(acts);
