// The functions of @prequel/react, against GATEWAY, as a page with the origin ORIGIN would use them. A backend stands
// beside it that has the API key, and asks for a scoped token before every call.
import { importPackage, serve } from "./lines.mjs";

const prequel = await importPackage("@prequel/react");
const { GATEWAY: host, ORIGIN: origin, API_KEY: key } = process.env;
let last;

/** What a backend's handler does: `recipient` is who is logged in. */
const backend = (recipient, without) => async (destination) => {
  const answer = await fetch(`${host}/actions/generate-scoped-auth-token`, {
    method: "POST",
    headers: { "X-API-KEY": key, "X-Prequel-Api-Version": "2023-12-01", "Content-Type": "application/json" },
    body: JSON.stringify({
      application_origin: origin,
      recipient_id: recipient,
      ...(without ? {} : { destination: destination ?? {} }),
    }),
  });
  const said = await answer.json();
  last = said.data?.scoped_token;
  return last;
};

const acts = {
  list: ({ recipient, app }) => prequel.useGetDestinations(backend(recipient), app ?? origin, host)(),
  models: ({ recipient }) => prequel.useGetModelsForRecipient(backend(recipient), origin, host)(),
  transfers: ({ recipient, destination }) =>
    prequel.useListTransfers(backend(recipient), origin, host)(destination, {}),
  create: ({ recipient, destination, app }) =>
    prequel.useCreateDestination(backend(recipient), app ?? origin, host)(destination),
  test: ({ recipient, destination }) =>
    prequel.useTestConnection(backend(recipient), origin, host)(destination),
  update: ({ recipient, before, after }) =>
    prequel.useUpdateDestination(backend(recipient), origin, host)(before, after),
  remove: ({ recipient, destination }) =>
    prequel.useDeleteDestination(backend(recipient), origin, host)(destination),
  // With a token that some other part of the page had.
  listWith: ({ token, app }) => prequel.useGetDestinations(async () => token, app ?? origin, host)(),
  token: () => last,
};

await serve(acts);
