// How the tests speak with a client: a JSON line a command on standard input, and a JSON line on standard output for
// what came of it, `{"value": …}` or `{"error": …}`. The first line says that the client is there.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Whatever a vendor's package prints is not an answer.
for (const name of ["log", "info", "debug", "warn"]) console[name] = console.error;

/** Where the vendors' packages are (tests/systems/install). */
export const packages = join(process.env.PORTCULLIS_TOOLS, "systems/node/node_modules");

/** A vendor's package of CommonJS, of those that were put into this directory. */
export const requireFrom = (directory) =>
  createRequire(join(process.env.PORTCULLIS_TOOLS, "systems", directory, "from-here.js"));

/** A vendor's package of CommonJS. */
export const requirePackage = requireFrom("node");

/** A vendor's package of ECMAScript modules. */
export const importPackage = (name) => import(pathToFileURL(requirePackage.resolve(name)));

/** Everything of an error that a test may ask for. */
export function described(error) {
  if (error === null || typeof error !== "object") return { message: String(error) };
  const { message, httpStatus, name } = error;
  return { message: message ?? JSON.stringify(error), name, status: httpStatus?.code ?? error.status ?? null };
}

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** Does what is asked, one command after another, until there are no more; `end` is done last. */
export async function serve(acts, end = () => {}) {
  say({ value: "ready" });
  for await (const line of createInterface({ input: process.stdin })) {
    const { act, ...rest } = JSON.parse(line);
    try {
      if (!acts[act]) throw new Error(`no such act: ${act}`);
      say({ value: (await acts[act](rest)) ?? null });
    } catch (error) {
      say({ error: described(error) });
    }
  }
  await end();
  process.exit(0);
}
