//! Every default and every bound of the configuration, each with its reason.
//!
//! The decoder, the JSON Schema and the test of `config/portcullis.yaml` all read them here, by way of
//! [`crate::config::shape`].

use std::time::Duration;

// What a file may cost to read (threats K7).

/// Octets of a configuration file: ten times what 100,000 routes need; a generated file that doubled itself
/// a few times too often is refused before it is parsed.
pub const YAML_OCTETS: usize = 16 * 1024 * 1024;
/// Values in a file: 40,000 routes in long form are about 1,000,000.
pub const YAML_NODES: usize = 2_000_000;
/// Nesting: the deepest key of the configuration stands at 8, an inline key set at 10.
pub const YAML_DEPTH: usize = 64;
/// Values that aliases may stand for, counted as if written out: enough for a shared block in each of some
/// thousand routes, and the end of "billion laughs".
pub const YAML_ALIASED_NODES: u64 = 100_000;
/// Problems that are kept and shown: nobody reads more, and a broken generator can make millions.
pub const PROBLEMS: usize = 1_000;

// What an expression may cost, at load and then on every request.

/// Octets of a CEL expression: a screenful. The parser's recursion is bounded by it.
pub const EXPRESSION_OCTETS: usize = 2_048;
/// Nested brackets: each takes the parser up to 180 KiB of stack in a debug build, 40 KiB in a release.
pub const EXPRESSION_BRACKETS: usize = 16;
/// Stack of the thread that compiles: five times what so many brackets take.
pub const EXPRESSION_STACK: usize = 16 * 1024 * 1024;
/// Operators, dots and brackets: each can be one level of the tree.
pub const EXPRESSION_OPERATORS: usize = 256;
/// Levels of the compiled tree: evaluation recurses once a level, and in a debug build some 55 of them fill the
/// 2 MiB of a worker's stack. Chains of `&&` and of `||` are balanced trees and count by their logarithm.
pub const EXPRESSION_DEPTH: usize = 24;
/// Elements that a list from a token or a request is taken to have, for the cost: a token of the default
/// 8 KiB holds hardly more than half as many.
pub const EXPRESSION_ELEMENTS: u64 = 4_096;
/// Steps that an expression may take at worst: some tens of milliseconds, for a token built to hurt.
pub const EXPRESSION_COST: u64 = 500_000;
/// Octets of a regular expression in an expression: it is compiled anew whenever it is evaluated.
pub const EXPRESSION_REGEX_OCTETS: usize = 256;
/// Steps that one regular expression counts for: compiling it takes about a thousand times a comparison.
pub const EXPRESSION_REGEX_COST: u64 = 1_000;
/// Octets of a regular expression once compiled: classes repeated and repeated again are refused.
pub const EXPRESSION_REGEX_COMPILED: usize = 256 * 1024;

// Names.

/// Characters of a route's key: longer paths are matched, not written.
pub const ROUTE_KEY: usize = 2_048;
/// Characters of the name of an upstream, issuer or route: it is a metric label.
pub const NAME: usize = 256;

/// Permissions of a Unix socket's file: those who share its group can be let in, strangers on the machine not.
pub const SOCKET_MODE: u32 = 0o660;
/// Listeners: each is a socket a worker.
pub const LISTENERS: usize = 256;
/// Networks of `trusted_proxies`: each is compared with every entry of `X-Forwarded-For`.
pub const TRUSTED_PROXIES: usize = 256;
/// Peers of one upstream.
pub const PEERS: usize = 1_000;
/// Certificates of a listener: each is kept prepared, and a chain is some kilobytes.
pub const CERTIFICATES: usize = 1_000;

// Upstreams.

/// `connect_timeout`: a peer in the same data centre answers in a millisecond; a second also covers one lost
/// SYN being sent again.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// `response_timeout`: what load balancers in front of us commonly give.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// `max_requests`: as many as `connections`. HTTP/2 could make that many times more, and all of them
/// wait where an upstream has stopped answering.
pub const MAX_REQUESTS: u64 = 10_000;
/// `health.interval`: a dead peer is left after about ten seconds.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

// Issuers.

/// `refresh`: a revoked key stops working within five minutes.
pub const REFRESH: Duration = Duration::from_secs(5 * 60);
/// The shortest `refresh` and `cooldown`: a provider beside the gateway bears ten fetches a second, and it is
/// never asked more often.
pub const FETCH_PAUSE_MIN: Duration = Duration::from_millis(100);
/// `cooldown`: however many unknown key ids arrive, the provider sees two forced fetches a minute.
pub const COOLDOWN: Duration = Duration::from_secs(30);
/// `max_stale`: a provider's outage of a day stops nobody; keys of last week are not trusted.
pub const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// `miss_wait`: a fetch from a nearby provider ends within it; a client hardly notices it.
pub const MISS_WAIT: Duration = Duration::from_millis(250);
/// `leeway`: clocks kept by NTP differ by far less.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// The largest `leeway`: beyond it, an expired token is no longer expired in any useful sense.
pub const LEEWAY_MAX: Duration = Duration::from_secs(5 * 60);
/// `max_token_lifetime`: how long a revocation has to be remembered.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// `claims.scope`: RFC 8693 section 4.2, and what Azure AD and Okta write.
pub const CLAIM_SCOPE: &[&str] = &["scope", "scp"];
/// `claims.subject`: RFC 7519 section 4.1.2.
pub const CLAIM_SUBJECT: &[&str] = &["sub"];
/// `claims.client`: RFC 8693 section 4.3, and OpenID Connect's authorized party.
pub const CLAIM_CLIENT: &[&str] = &["client_id", "azp"];
/// `claims.id`: RFC 7519 section 4.1.7.
pub const CLAIM_ID: &[&str] = &["jti"];
/// `claims.session`: OpenID Connect Front-Channel Logout section 3.
pub const CLAIM_SESSION: &[&str] = &["sid"];
/// `claims.tenant`: what Azure AD writes.
pub const CLAIM_TENANT: &[&str] = &["tid"];

/// `revocation.claims` there may be: each costs a new token a hash or more.
pub const REVOCATION_CLAIMS: usize = 16;
/// `revocation.recheck_streams`: the second look, for what told no stream.
pub const RECHECK_STREAMS: Duration = Duration::from_secs(5);

// Routes.

/// `cors.headers`: what a JSON API with bearer tokens is sent.
pub const CORS_HEADERS: &[&str] = &["authorization", "content-type"];
/// `cors.max_age`: Chromium's own cap is two hours; ten minutes keeps a mistake short.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// `streams.close`: of those for applications (RFC 6455 section 7.4.2), the one that reads like 403.
pub const STREAM_CLOSE: u16 = 4403;
/// `streams.close`: what a policy ends (RFC 6455 section 7.4.1).
pub const POLICY_VIOLATION: u16 = 1008;
/// `streams.close`: the codes that are nobody's but an application's begin here (RFC 6455 section 7.4.2).
pub const PRIVATE_CLOSE_FIRST: u16 = 4000;
/// And end here.
pub const PRIVATE_CLOSE_LAST: u16 = 4999;
/// `streams.grace`: a token says itself when it ends, and the leeway is for clocks.
pub const STREAM_GRACE: Duration = Duration::ZERO;
/// The longest `streams.grace`: what goes on for longer wants a longer token.
pub const STREAM_GRACE_MAX: Duration = Duration::from_secs(60 * 60);
/// `streams.warning.before`: time for a client to fetch a token and to send it.
pub const STREAM_WARNING: Duration = Duration::from_secs(30);
/// Octets of `streams.warning.message`: it is written at once, and kept for every route.
pub const WARNING_MESSAGE: usize = 1024;
/// `streams.reauthenticate.when` there may be: each is looked for in a message that may be one.
pub const REAUTHENTICATE_WHEN: usize = 8;

// GraphQL. What a document may ask for is what clients of large public APIs send, with room; each bound has a reason to be
// where it is, as a document is read whole before anything of it is known.

/// `batch`: one request is one operation. Lists multiply whatever one request may cost.
pub const GRAPHQL_BATCH: u64 = 0;
/// The largest `batch`: ten is what clients that merge requests send.
pub const GRAPHQL_BATCH_MAX: u64 = 100;
/// `limits.body`: as `inspected_body`.
pub const GRAPHQL_BODY: u64 = INSPECTED_BODY;
/// The largest `limits.body` and `messages.message`.
pub const GRAPHQL_BODY_MAX: u64 = 1024 * MIB;
/// `limits.tokens`: what Apollo's router takes; an introspection query has some 200.
pub const GRAPHQL_TOKENS: u64 = 15_000;
/// `limits.recursion`: the deepest selection that people write has some twenty levels.
pub const GRAPHQL_RECURSION: u64 = 200;
/// The largest `limits.recursion`: stack is taken for each level, and a worker has 2 MiB.
pub const GRAPHQL_RECURSION_MAX: u64 = 500;
/// `limits.depth`: an introspection query is 13 deep. What is deeper is warned of, as honest clients of some APIs are.
pub const GRAPHQL_DEPTH: u64 = 15;
/// `limits.aliases`: each is an answer of its own to the same question, of a password for one.
pub const GRAPHQL_ALIASES: u64 = 30;
/// `limits.directives`: servers check them one against another.
pub const GRAPHQL_DIRECTIVES: u64 = 50;
/// `limits.root_fields`: a page asks some five questions.
pub const GRAPHQL_ROOT_FIELDS: u64 = 20;
/// `limits.mutations`: they run one after another.
pub const GRAPHQL_MUTATIONS: u64 = 10;
/// `limits.name`: it ends in logs.
pub const GRAPHQL_NAME: u64 = 256;
/// `limits.cost`: off; what an operation costs only its server knows.
pub const GRAPHQL_COST: u64 = 0;
/// The largest of these bounds: what is beyond it bounds nothing.
pub const GRAPHQL_BOUND_MAX: u64 = 1_000_000_000;
/// Rules of one route under `fields`, `public` or `types`: a schema of 3,700 mutations fits.
pub const GRAPHQL_RULES: usize = 10_000;
/// Octets of `permission` and `field`: the pattern runs for each field that a new document asks for.
pub const GRAPHQL_PATTERN: usize = 1_024;
/// Octets of `field` once compiled.
pub const GRAPHQL_PATTERN_COMPILED: usize = EXPRESSION_REGEX_COMPILED;
/// Octets of a schema file: the introspection of 42 types with 3,700 mutations is 2 MiB.
pub const GRAPHQL_SCHEMA: usize = 16 * 1024 * 1024;
/// Types of a schema, and fields of all its types together.
pub const GRAPHQL_SCHEMA_FIELDS: usize = 1_000_000;
/// Selections that are looked at for rules below the root, of one document: fragments count for each type that they stand in. Some
/// ten times what `limits.tokens` lets through.
pub const GRAPHQL_WALK_STEPS: usize = 200_000;
/// How deep they may be within each other, through fragments: as `limits.recursion` at the most.
pub const GRAPHQL_WALK_DEPTH: usize = 500;
/// Octets of the arguments that a condition sees: a condition's cost is bounded for as much as a token has.
pub const GRAPHQL_ARGUMENTS: usize = 8 * 1024;
/// The same of all operations of a request together: of a list, and of every operation of its documents.
pub const GRAPHQL_ARGUMENTS_IN_ALL: usize = 64 * 1024;
/// What is needed below the roots of a document, each thing counted for each field at a root that needs it.
pub const GRAPHQL_WALK_NEEDS: usize = 16_384;
/// Words of 64 bits that are kept of what fragments need: one for every 64 different needs of the schema, a fragment and a type.
pub const GRAPHQL_WALK_WORDS: usize = 1 << 20;
/// Operations of one document: a collection of a client's has some tens.
pub const GRAPHQL_OPERATIONS: usize = 100;
/// Selections at the roots of a document's operations together, each of which may need something else.
pub const GRAPHQL_ROOT_SELECTIONS: usize = 2_048;
/// Octets of the plans that are remembered, over all workers: some 30,000 documents of an ordinary length.
pub const GRAPHQL_PLANS: u64 = 64 * MIB;
/// Octets of a document whose plan is remembered: longer ones are rare, and cost more to compare and to keep.
pub const GRAPHQL_PLAN_TEXT: usize = 16 * 1024;
/// Octets of a plan that is remembered: one that is larger would make a hundred others go.
pub const GRAPHQL_PLAN: u64 = 256 * KIB;
/// Octets of the texts that are known to be no documents, a worker: enough for the mistakes of clients, not for those who try.
pub const GRAPHQL_REJECTIONS: u64 = 256 * KIB;
/// Documents of a safelist.
pub const SAFELIST_DOCUMENTS: usize = 10_000;
/// Octets of a safelist, all documents together.
pub const SAFELIST_OCTETS: usize = 16 * 1024 * 1024;
/// `messages.token`: where Apollo's, urql's and gql's users put it, and a bare one.
pub const MESSAGE_TOKEN: &[&str] =
    &["/Authorization", "/authorization", "/headers/Authorization", "/headers/authorization", "/token"];
/// `messages.init_time`: as long as a head may take.
pub const MESSAGE_INIT_TIME: Duration = HEADER_TIME;
/// The longest `messages.init_time`: a connection that says nothing holds a place of its address's.
pub const MESSAGE_INIT_TIME_MAX: Duration = Duration::from_secs(60);
/// `messages.keep_alive`: twice in the minute that what stands between lets a connection be silent.
pub const MESSAGE_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The longest `messages.keep_alive`.
pub const MESSAGE_KEEP_ALIVE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// `messages.operations`: a page has some ten subscriptions.
pub const MESSAGE_OPERATIONS: u64 = 100;
/// The largest `messages.operations`.
pub const MESSAGE_OPERATIONS_MAX: u64 = 10_000;
/// `messages.message`: as a body.
pub const MESSAGE: u64 = GRAPHQL_BODY;
/// The largest payload of a `connection_init`: a token and what an application adds to it. It is held while the conversation
/// lasts.
pub const INIT_PAYLOAD: usize = 16 * 1024;
/// Octets of scopes in the challenge of an operation: servers before this one take 8 KiB of a header line.
pub const GRAPHQL_CHALLENGE: usize = 4 * 1024;
/// The longest name of a field that is judged: what is longer is for nobody, and in no log.
pub const FIELD_NAME: usize = 256;
/// The shortest `reserved_streams`: a reservation is followed by its stream at once.
pub const RESERVED_STREAMS_MIN: Duration = Duration::from_secs(1);
/// The longest `reserved_streams`: no stream's token counts for longer than some days.
pub const RESERVED_STREAMS_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

// What is minted here.

/// `credentials`, `tokens`, and `endpoints` there may be: templates are checked against each other.
pub const CREDENTIALS: usize = 256;
/// See [`CREDENTIALS`].
pub const TOKENS: usize = 256;
/// See [`CREDENTIALS`].
pub const ENDPOINTS: usize = 1_000;
/// Tokens that one endpoint issues: a pair, and an ID of sorts.
pub const ISSUED: usize = 8;
/// Members that an endpoint's `require` may have.
pub const REQUIRED_MEMBERS: usize = 64;
/// Entries that stand in the file itself: more belong in a file of their own.
pub const LISTED: usize = 10_000;
/// `lifetime` of a token: what OAuth servers commonly give.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// `lifetime` of a refresh token.
pub const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest `lifetime`.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// `octets`: nobody guesses 256 bits.
pub const TOKEN_OCTETS: u64 = 32;
/// The fewest `octets`: 128 bits (RFC 6749 section 10.10).
pub const TOKEN_OCTETS_MIN: u64 = 16;
/// The most `octets`.
pub const TOKEN_OCTETS_MAX: u64 = 64;
/// `leeway` of a token of our own: the clock that wrote it is the one that reads it.
pub const TOKEN_LEEWAY: Duration = Duration::ZERO;
/// `grace` of a refresh token: tabs that refresh at once, and an answer that was lost.
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);
/// The longest `grace` (threats T5): a stolen token counts for as long.
pub const REFRESH_GRACE_MAX: Duration = Duration::from_secs(30);
/// `subject`.
pub const TOKEN_SUBJECT: &str = "{credential.id}";
/// `scopes.ceiling`.
pub const CEILING: &str = "{credential.scopes}";
/// `require.error`.
pub const MEMBER_ERROR: &str = "bad_request";
/// `reuse.min_remaining`: what a client does with a token takes less.
pub const REUSE_REMAINING: Duration = Duration::from_secs(60);
/// `attempts`: people mistype; a list of passwords is longer.
pub const ATTEMPTS: u64 = 10;
/// `entries.id`.
pub const ENTRY_ID: &str = "id";
/// `entries.scopes`.
pub const ENTRY_SCOPES: &str = "scopes";
/// `people.memory`: OWASP's least for argon2id with two passes.
pub const ARGON2_MEMORY: u64 = 19_456 * KIB;
/// `people.passes`: OWASP's least for that memory.
pub const ARGON2_PASSES: u64 = 2;
/// `signing_keys.rotate`.
pub const ROTATE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// `signing_keys.publish`: every cache of a key set has asked again by then.
pub const PUBLISH: Duration = Duration::from_secs(30 * 60);
/// `oauth.path`.
pub const OAUTH_PATH: &str = "/oauth";
/// `introspection.cache`: a token that was revoked elsewhere counts for so long here.
pub const INTROSPECTION_CACHE: Duration = Duration::from_secs(30);
/// The longest `introspection.cache`.
pub const INTROSPECTION_CACHE_MAX: Duration = Duration::from_secs(60 * 60);
/// `introspection.timeout`: a request waits for it.
pub const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(2);

// The whole process.

/// `key_mirror`: beside the configuration file.
pub const KEY_MIRROR: &str = "portcullis-keys";
/// `shutdown_grace`: as long as `response_timeout`, and Kubernetes' own.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// `log.level`.
pub const LOG_LEVEL: &str = "info";
/// `log.access`: a gateway's log is its access log.
pub const LOG_ACCESS: bool = true;

// Limits. Each bounds what one client, one address or all of them can make us hold or wait for.

/// `token`: large tokens (roles, groups) reach 4 KiB; servers behind us commonly take 8 KiB of header.
pub const TOKEN: u64 = 8 * KIB;
/// `header_line`: twice a token, so that a cookie may stand beside it.
pub const HEADER_LINE: u64 = 16 * KIB;
/// `header_total`: nginx's `large_client_header_buffers` is 4 of 8 KiB.
pub const HEADER_TOTAL: u64 = 32 * KIB;
/// `headers`: browsers send about twenty.
pub const HEADERS: u64 = 100;
/// The largest `headers`: a head has places for 256 lines, on the way out as on the way in, and what is added on the way
/// has to find one too.
pub const HEADERS_MAX: u64 = 192;
/// `h2_header_list`: a full token fits with all that browsers send; a small compressed head can ask for no more
/// memory than this.
pub const H2_HEADER_LIST: u64 = 16 * KIB;
/// `h2_streams`: a page's worth; each may hold a head and two buffers.
pub const H2_STREAMS: u64 = 32;
/// `connections`: 10,000 idle ones are some 100 MiB.
pub const CONNECTIONS: u64 = 10_000;
/// `connections_per_address`: an office behind one address, not a flood.
pub const CONNECTIONS_PER_ADDRESS: u64 = 1_000;
/// `handshakes`: twice what one address may open, so that one that begins handshakes and never ends them leaves room
/// for others; each holds about 20 KiB.
pub const HANDSHAKES: u64 = 2_000;
/// `requests_per_connection`: lets load balancers in front of us spread again.
pub const REQUESTS_PER_CONNECTION: u64 = 100_000;
/// `header_time`: against Slowloris; a head is one packet or two.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// `idle_time`: nginx's is 75 s, browsers reuse for less.
pub const IDLE_TIME: Duration = Duration::from_secs(60);
/// `body_rate`: octets a second; the worst mobile link does ten times as much.
pub const BODY_RATE: u64 = KIB;
/// `write_stall`: a client that takes nothing for so long is gone.
pub const WRITE_STALL: Duration = Duration::from_secs(30);
/// `drain`: cheaper than a new connection up to about here.
pub const DRAIN: u64 = 64 * KIB;
/// `verified_cache`: about 100,000 tokens of one worker.
pub const VERIFIED_CACHE: u64 = 64 * MIB;
/// `signatures_in_flight`: a worker verifies some 10,000 a second, so that 64 wait less than 10 ms, and less than 100
/// where requests that need none keep it busy.
pub const SIGNATURES_IN_FLIGHT: u64 = 64;
/// `inspected_body`: the largest that an API written for people to call takes.
pub const INSPECTED_BODY: u64 = MIB;
/// `inspected_total`: some tens of the largest, and a thousand of what endpoints take.
pub const INSPECTED_TOTAL: u64 = 64 * MIB;
/// The largest body for an endpoint of our own, whatever `inspected_body` allows: a credential, a token, a list of scopes.
pub const ENDPOINT_BODY: usize = 64 * 1024;
/// Requests that our own endpoints answer at once, all workers together: a thousand that wait for a password to be hashed
/// wait longer than anybody would.
pub const ENDPOINT_CALLS: usize = 1024;
/// How long an endpoint's answer is waited for, as long as an upstream's. Its work goes on.
pub const ENDPOINT_TIME: Duration = RESPONSE_TIMEOUT;
/// The largest answer to an operation that was sent on without some of its fields: it is read whole, to say so in it.
pub const NARROWED_ANSWER: usize = 4 * MIB as usize;
/// The longest name that an upstream gives an event stream that is reserved: most are a UUID.
pub const RESERVED_NAME: usize = 1024;
/// `key_set`: a key is about 500 octets; the largest public sets have some tens.
pub const KEY_SET: u64 = MIB;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
