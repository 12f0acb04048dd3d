// A page in Chromium: `browser.mjs PAGE`. The page is served from an origin of its own, PAGE_PORT on loopback, with the
// cookies of COOKIE; a vendor's package is served beside it under /package/. What the page offers as `window.acts` is
// done there when the test asks for it.
import { spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { packages, requirePackage, serve } from "./lines.mjs";

const WebSocket = requirePackage("ws");
const page = process.argv[2];
const PACKAGES = { jexia: "jexia-sdk-js", weavy: "@weavy/uikit-web" };
const root = join(packages, PACKAGES[page]);
const TYPES = { ".js": "text/javascript", ".html": "text/html; charset=utf-8", ".css": "text/css" };

// --- the page's own server -------------------------------------------------------------------------------------

const settings = { gateway: process.env.GATEWAY };
const server = createServer((request, answer) => {
  const path = normalize(new URL(request.url, "http://page").pathname);
  // As an application has it that stands behind one origin with the gateway: the page's cookies go there.
  if (path === "/token") {
    const headers = { cookie: request.headers.cookie ?? "" };
    fetch(settings.gateway + request.url, { headers }).then(
      async (token) => answer.writeHead(token.status, { "content-type": "application/json" }).end(await token.text()),
      () => answer.writeHead(502).end(),
    );
    return;
  }
  const file = path.startsWith("/package/")
    ? join(root, path.slice("/package/".length))
    : join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, `page_${page}.html`);
  if (!existsSync(file)) {
    answer.writeHead(404).end();
    return;
  }
  const headers = { "content-type": TYPES[extname(file)] ?? "application/octet-stream" };
  if (path !== "/") {
    answer.writeHead(200, headers);
    createReadStream(file).pipe(answer);
    return;
  }
  if (process.env.COOKIE) headers["set-cookie"] = `${process.env.COOKIE}; Path=/; HttpOnly`;
  answer.writeHead(200, headers);
  answer.end(readFileSync(file, "utf8").replace("SETTINGS", JSON.stringify(settings)));
});
await new Promise((done) => server.listen(Number(process.env.PAGE_PORT ?? 0), "127.0.0.1", done));

// --- the browser -----------------------------------------------------------------------------------------------

const profile = mkdtempSync(join(tmpdir(), "portcullis-chromium-"));
const browser = spawn(
  "chromium",
  [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank",
  ],
  { stdio: ["ignore", "ignore", "pipe"] },
);
const gone = new Promise((done) => browser.once("exit", done));
process.on("exit", () => browser.kill("SIGKILL"));

/** Where it is spoken with: it says so on standard error. */
const devtools = await new Promise((done, failed) => {
  let said = "";
  browser.on("error", failed);
  browser.once("exit", (code) => failed(new Error(`chromium ended with ${code}: ${said}`)));
  browser.stderr.on("data", (octets) => {
    said += octets;
    const found = said.match(/DevTools listening on (ws:\S+)/);
    if (found) done(found[1]);
  });
});

const { host } = new URL(devtools);
const targets = await (await fetch(`http://${host}/json/list`)).json();
const socket = new WebSocket(targets.find(({ type }) => type === "page").webSocketDebuggerUrl);
await new Promise((done, failed) => socket.once("open", done).once("error", failed));

let counter = 0;
const waiting = new Map();
socket.on("message", (text) => {
  const message = JSON.parse(text);
  if (message.method === "Runtime.consoleAPICalled" || message.method === "Runtime.exceptionThrown") {
    console.error(JSON.stringify(message.params).slice(0, 2000));
  }
  waiting.get(message.id)?.(message);
  waiting.delete(message.id);
});
const devtool = (method, params = {}) =>
  new Promise((done) => {
    counter += 1;
    waiting.set(counter, done);
    socket.send(JSON.stringify({ id: counter, method, params }));
  });

/** Runs an expression in the page, waits for its promise, and gives its value. */
async function evaluate(expression) {
  const { result } = await devtool("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (result?.exceptionDetails) {
    const { exception, text } = result.exceptionDetails;
    throw new Error(exception?.description ?? exception?.value ?? text);
  }
  return result.result.value;
}

await devtool("Runtime.enable");
await devtool("Page.enable");
const origin = `http://127.0.0.1:${server.address().port}`;
await devtool("Page.navigate", { url: `${origin}/` });
for (;;) {
  // The page says when its package is there.
  if (await evaluate("window.acts ? true : new Promise(done => setTimeout(() => done(false), 25))").catch(() => false)) {
    break;
  }
}

const inPage = (act) => (rest) =>
  evaluate(
    `window.acts[${JSON.stringify(act)}](${JSON.stringify(rest)}).then(
       (value) => ({ value: value ?? null }),
       (error) => ({ error: { message: error?.message ?? String(error), status: error?.httpStatus?.code ?? null } }))`,
  ).then(({ value, error }) => {
    if (error) throw Object.assign(new Error(error.message), { status: error.status });
    return value;
  });

await serve(new Proxy({}, { get: (_, act) => (act === "origin" ? async () => origin : inPage(act)) }), async () => {
  await Promise.race([devtool("Browser.close"), gone]);
  await gone;
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});
