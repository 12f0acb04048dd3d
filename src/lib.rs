//! Portcullis: a reverse-proxy authentication gateway. This page is the map.
//!
//! **One sentence.** A pure function decides, one writer publishes what it reads, thin edges do everything
//! else: `decide(&Snapshot, &Memo, &Request, &Evidence, now) -> Allow(Grant) | Refuse(Denial) | Need(Need)`.
//!
//! # Rooms, top floor first
//!
//! ```text
//!   main.rs        arguments in, exit code out
//!   cli.rs         one file a command: run check schema explain demo test keys token revoke api-keys users store
//!   app.rs         builds each part from the configuration, wires, runs, drains, hands over to a new process
//! ── edges: the only code with sockets, files, clocks, a runtime ──
//!   proxy.rs       the data plane: connections, bodies, upstreams, refusals, the access log
//!   authority.rs   API keys and people in, tokens out: the registries, and the endpoints answered here
//!   admin.rs       /metrics /livez /readyz and /v1: what operators and their machines ask
//!   control.rs     the one writer: reads files, fetches keys, publishes
//!   store.rs       what must survive a restart: revocations and a feed of them, records, one writer
//!   metrics.rs     every family, its labels and buckets
//!   audit.rs       who did what: a file that only grows
//! ── core: pure; same inputs, same answer ──
//!   http1.rs       HTTP/1.1 framing, both sides, over buffers
//!   gate.rs        decide: the straight path, its refusals, grants, evidence and memo
//!   snapshot.rs    Snapshot, Change, Publisher (exactly one), Reader (many)
//!   policy.rs      routes, requirements and conditions, compiled
//!   revocation.rs  what no longer counts
//!   mint.rs        claims and answers from templates; what is random or signed in them
//!   keys.rs        key sets; the only maker of Verified
//!   tls.rs         certificates and keys, compiled; what a handshake says of a client
//!   graphql.rs     what a document asks for, and the permissions that it needs
//!   config.rs      the typed configuration, valid by construction
//!   path.rs        the one spelling of a path
//!   token.rs       the vocabulary: bearer, JWS, claims, scopes, dates
//! ```
//!
//! Below them all stand two packages that know nothing, and are optimised where tests are not: `argon2id/`, known by
//! [`authority`] alone, hashes a password without keeping requests waiting; `verification/`, known by [`keys`] alone,
//! verifies RS256 and ES256 faster than the library does.
//!
//! # Who may know whom
//!
//! ```text
//! main → cli → app → { proxy | authority | admin | control } → store → { metrics | audit } → http1 → gate
//!      → snapshot → { policy | revocation | mint } → { keys | tls } → graphql → config → { path | token }
//! ```
//!
//! A room imports only from its right. Rooms inside `{ }` never import each other: they meet in a type of a
//! lower layer (`Change`, `Reader`, `AskKeys`) and are wired in [`app`]. `tests/tidy.rs` reads the sources
//! and fails on a broken rule, so that a new edge is a visible line in its table.
//!
//! What is deliberately absent:
//!
//! - From [`http1`] rightwards nothing knows tokio, hyper or pingora, a file, a socket, the environment, the
//!   clock or a source of randomness: `now` and octets are arguments. (`keys::rotation` makes key pairs, for
//!   commands, tests and [`authority`], and what [`tls`] compiles keeps tickets and reads the time by itself; no decision does.) Tests and fuzzers therefore run the whole core without a double
//!   for anything.
//! - [`gate`] knows nothing of HTTP versions or of how a refusal is worded; [`proxy`] knows nothing of
//!   scopes, claims or keys. A refusal becomes HTTP in one place, by one exhaustive `match`.
//! - Only [`app`] and [`proxy`] know pingora, which runs the process and chooses upstream peers; the
//!   listeners and the framing are ours. Only [`control`] fetches; only [`metrics`] and [`admin`] know
//!   prometheus.
//! - Only [`store`] knows SQLite, and the request path does not know [`store`]: it never waits for a disk.
//! - No room reads a configuration while it serves, but for what cannot change live (listeners, limits): what a request
//!   meets was compiled when it was published.
//! - There is no crate-wide error type, no prelude, no re-export, no global, and no `unsafe`.
//!
//! *Why [`path`] stands at the bottom.* Route patterns ([`config`]), the table they compile to ([`policy`])
//! and request targets on the wire have to be put into the same spelling by the same function, or two
//! spellings of one resource could meet different rules. All three may know it only if it knows none of them.
//! It stands beside [`token`], the other vocabulary, and neither needs the other.
//!
//! # A request, one straight path
//!
//! ```text
//! proxy   head = RequestHead::read(&bytes)               one Host, one length, sizes capped; path made canonical once
//!         snapshot = reader.load()                       once per decision; dropped before any await
//! gate    1 route        most specific match             → no_route | method_not_allowed (default deny)
//!         2 operation    a WebSocket's origin            → condition_failed
//!                        Need::Body, GraphQL's plan      → graphql_rejected | method_not_allowed | body_too_large
//!         3 public?      the route, or this operation, asks for nothing → Grant without an identity, or Answer
//!         4 credential   bearer, header, cookie, query   → no_credentials | many_credentials | malformed_request
//!         5 token        compact JWS, caps, no crit; or  → malformed_token
//!                        looked up (Need::Record)        → bad_signature | keys_unavailable
//!         6 issuer       the route trusts it             → untrusted_issuer
//!         7 key          (issuer, kid, alg)              → Need::Keys | keys_unavailable | unknown_key
//!         8 signature    the memo, else Need::Signature  → bad_signature
//!         9 time         exp nbf iat, leeway, life       → expired | not_yet_valid | lives_too_long
//!        10 audience     type, required claims           → wrong_audience | wrong_type | missing_claim
//!        11 revoked      every kind compared alone       → revoked
//!        12 proof        (later: DPoP, certificates)
//!        13 permission   scopes, conditions              → insufficient_scope | condition_failed
//!                        a reserved stream's owner       → unknown_stream
//!        14 limits       (later: per subject)
//!        15 Grant        route, identity, response rules; Answer where the route leads to an endpoint of ours
//! proxy   Refuse(denial) → the only place where a refusal becomes HTTP
//!         Need(need)     → do that work, bounded; add it to Evidence; load again; decide again from step 1
//!         Answer(called) → the body read whole, the authority asked; its answer is written, also to a token it refuses
//!         Allow(grant)   → identity headers: every configured one removed, then this grant's set; when others that are
//!                          ready have had their turn, to the upstream
//! ```
//!
//! Everything that waits, costs much or changes something is a `Need`: the edge does it, a bounded number
//! of times, and asks again from step 1 on a fresh snapshot, so that a key fetched or a revocation published
//! meanwhile counts. `decide` is pure, so asking again is safe. A memo hit answers steps 5, 7 and 8, and recalls
//! of 10 and 13 what cannot change while the issuer's rules, the token's scopes and the table of routes stay
//! what they were; all else runs on every request.
//!
//! # State, one way in
//!
//! ```text
//! bytes ──load──▶ Raw ──parse──▶ typed value ──compile──▶ Arc<part> ──Change──▶ control ──publish──▶ Snapshot
//!         edges          every problem at once   cannot fail          one queue      &mut Publisher   one load a request
//! ```
//!
//! One cell holds the [`snapshot`], one writer replaces it whole; generations share the parts that stayed.
//! All that can fail is in *parse*. A reload with a problem changes nothing: the last good snapshot stays, a
//! gauge says so. Keys outlive an outage of their issuer, up to `max_stale`; past it decisions are
//! `keys_unavailable`. The generation stands in the access log: every decision can be traced to what it read.
//!
//! A stream that lasts is asked about again whenever something was published and when its token ends
//! ([`gate::lasting`]); each worker does so for its own, without a timer for any of them. A WebSocket's client may send
//! a new token within it: then the handshake is decided again, and the stream held to the new grant.
//!
//! On a route that judges GraphQL a WebSocket is answered before anything is granted: [`graphql::conversation`] is spoken
//! here, and each message that brings an operation is decided as if the handshake had come with it as its body. An
//! upstream hears of the first that is granted, under that one's identity; another identity has a connection of its own.
//!
//! # Invariants
//!
//! 1. *No leak-through.* A refused request never reaches an upstream: only a `Grant` knows where to go, only
//!    [`gate`] makes one, and a `Grant` with an identity needs a [`keys::Verified`], which only [`keys`]
//!    makes; of claims that were looked up, for those alone who look them up. A route that leads to an endpoint knows no
//!    upstream.
//! 2. *One interpretation.* Method, path, host and body length that were decided on are, octet for octet,
//!    what the upstream receives; one request in is at most one request out.
//! 3. *Identity is ours.* No octet of a client can make, drop or shadow a header that carries identity.
//! 4. *No secret leaves.* Tokens, keys and secrets stand in no log, metric, error or answer, at any level.
//! 5. *Bounded.* Every queue, cache, body, head, retry and wait has a limit with a name ([`config::limits::Limits`],
//!    [`config::defaults`]).
//! 6. *Fail closed, keep serving.* What is unknown or unreadable refuses that request; it allows nothing,
//!    stops nothing, and never costs the last good configuration or keys.
//!
//! # Errors: five kinds, sorted by who must act
//!
//! | kind | type | who acts | ends in |
//! |---|---|---|---|
//! | refusal | [`gate::denial`]: an answer, no `Error` | the client | status, challenge, problem body; a counter by reason |
//! | operator's input | [`config::problems::Problems`] | the operator | exit 78, or a reload refused |
//! | a dependency | a small enum beside each task of [`control`] | time, then on-call | last good kept; 503, never 401 |
//! | transport | mapped in [`proxy`], upstream apart from downstream | the network | 502, 504, or a closed connection |
//! | our bug | a panic fails one request | us | 500 and a counter; never an allow |
//!
//! *Why HTTP/2 is translated.* There is one strict reader, of HTTP/1.1, and one way through `proxy`. Each stream of
//! an HTTP/2 connection, a client's or a peer's, is made to look like an HTTP/1.1 connection of one request at the
//! outermost edge (`proxy::h2`), so that nothing is decided, timed, bounded or counted twice.
//!
//! # Where the next features go
//!
//! | feature | room |
//! |---|---|
//! | the same decision for other proxies: forward-auth, ext_authz | `decision`, beside [`proxy`] |
//! | what several gateways share: PostgreSQL | another engine behind [`store`] |
//! | another way to say no | a variant of [`gate::denial::Reason`]: the compiler then lists what it needs |

pub mod app;
pub mod cli;

pub mod proxy;

pub mod admin;
pub mod authority;
pub mod control;

pub mod store;

pub mod audit;
pub mod metrics;

pub mod http1;

pub mod gate;

pub mod snapshot;

pub mod mint;
pub mod policy;
pub mod revocation;

pub mod keys;
pub mod tls;

pub mod graphql;

pub mod config;

pub mod path;
pub mod token;
