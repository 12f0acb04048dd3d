// oauth4webapi against the presets of GATEWAY: it discovers, and is strict about everything that it is told.
import { importPackage, serve } from "./lines.mjs";

const oauth = await importPackage("oauth4webapi");
const issuer = new URL(process.env.GATEWAY);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: process.env.CLIENT_ID };
const authenticate = () => oauth.ClientSecretBasic(process.env.CLIENT_SECRET);
let server;

const grant = (name, parameters) =>
  oauth.genericTokenEndpointRequest(server, client, authenticate(), name, parameters, insecure);

const acts = {
  async discover() {
    const answer = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: "oauth2" });
    server = await oauth.processDiscoveryResponse(issuer, answer);
    return server;
  },
  async issue({ scope }) {
    const answer = await oauth.clientCredentialsGrantRequest(server, client, authenticate(), scope ? { scope } : {}, insecure);
    return oauth.processClientCredentialsResponse(server, client, answer);
  },
  async issueByPost({ scope }) {
    const byPost = oauth.ClientSecretPost(process.env.CLIENT_SECRET);
    const answer = await oauth.clientCredentialsGrantRequest(server, client, byPost, { scope }, insecure);
    return oauth.processClientCredentialsResponse(server, client, answer);
  },
  async refresh({ token }) {
    const answer = await oauth.refreshTokenGrantRequest(server, client, authenticate(), token, insecure);
    return oauth.processRefreshTokenResponse(server, client, answer);
  },
  async exchange({ token, scope }) {
    const answer = await grant("urn:ietf:params:oauth:grant-type:token-exchange", {
      subject_token: token,
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      scope,
    });
    return oauth.processGenericTokenEndpointResponse(server, client, answer);
  },
  async introspect({ token }) {
    const answer = await oauth.introspectionRequest(server, client, authenticate(), token, insecure);
    return oauth.processIntrospectionResponse(server, client, answer);
  },
  async revoke({ token }) {
    const answer = await oauth.revocationRequest(server, client, authenticate(), token, insecure);
    await oauth.processRevocationResponse(answer);
    return true;
  },
  // As a resource server does: RFC 9068, with the keys that the metadata names.
  async validate({ token, audience }) {
    const request = new Request(`${issuer}orders`, { headers: { authorization: `Bearer ${token}` } });
    return oauth.validateJwtAccessToken(server, request, audience, insecure);
  },
};

await serve(acts);
