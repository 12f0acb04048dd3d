//! Key sets and discovery documents over HTTP, from a server that may be slow, broken or hostile.
//!
//! Redirects are followed by hand: at most two, never to another host and never from `https` to `http`, so
//! that whoever answers at an issuer's address cannot point the gateway at its own network.
//!
//! Errors never carry a URL: one may hold a key of its own in the query.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION,
};
use reqwest::{Response, StatusCode, Url};
use rustls::crypto::aws_lc_rs;
use serde::Deserialize;

use crate::keys::jwk::KeySetError;

/// Why a fetch failed: the dependency's fault or the network's, never a client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It took longer than it may, in all.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or one that broke.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Another status than 200 (or 304 where it was asked for).
    #[error("the server answered {0}")]
    Status(u16),
    /// More octets than `limits.key_set`.
    #[error("the answer is longer than {0} octets")]
    TooLong(usize),
    /// More redirects than are followed.
    #[error("more than {MOST_REDIRECTS} redirects")]
    ManyRedirects,
    /// A redirect to another host, to plain HTTP, or to nowhere.
    #[error("a redirect to another host, to plain HTTP or without a place")]
    StrayRedirect,
    /// Not `https`, and neither loopback nor `dangerous_http`; or with a password in it; or no URL at all.
    #[error("not an https URL without credentials")]
    BadUrl,
    /// What stands at the discovery addresses is no discovery document.
    #[error("not a discovery document with `issuer` and `jwks_uri`: {0}")]
    NotADocument(String),
    /// The discovery document is another issuer's (OpenID Connect Discovery 1.0 section 4.3, RFC 8414
    /// section 3.3): mix-up, or a trailing slash too many.
    #[error("the discovery document is for the issuer {0:?}")]
    WrongIssuer(String),
    /// What arrived is no set of usable keys.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The TLS client cannot be made: no root certificates on this machine, as a rule.
    #[error("no TLS client: {0}")]
    NoTls(String),
    /// Our own bug.
    #[error("the fetch failed inside the gateway")]
    Panicked,
}

/// Where something is fetched from, already found safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    url: Url,
    /// Whether plain HTTP is allowed beyond loopback (`dangerous_http`).
    dangerous_http: bool,
}

/// A key set's text, or the word that it is still the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The text; `None` when the one that `ETag` names is confirmed.
    pub text: Option<Vec<u8>>,
    /// To ask conditionally next time.
    pub etag: Option<HeaderValue>,
    /// `Cache-Control: max-age`.
    pub max_age: Option<Duration>,
}

/// The HTTP client. One serves every issuer; its parts are made when first needed.
#[derive(Debug, Default)]
pub struct Client {
    /// By [`Client::get`]'s index: reached directly or by the environment's proxy, with or without TLS.
    parts: [OnceLock<reqwest::Client>; 4],
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Place {
    /// Takes a URL that may be fetched: `https`, or `http` to loopback, or `http` to anywhere with
    /// `dangerous_http`.
    pub fn new(url: &str, dangerous_http: bool) -> Result<Self, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::BadUrl)?;
        let place = Self { url, dangerous_http };
        let safe = match place.url.scheme() {
            "https" => true,
            "http" => dangerous_http || place.is_loopback(),
            _ => false,
        };
        let has_credentials = !place.url.username().is_empty() || place.url.password().is_some();
        if safe && !has_credentials && place.url.has_host() { Ok(place) } else { Err(FetchError::BadUrl) }
    }

    /// The two places of an issuer's discovery document: OpenID Connect Discovery 1.0 section 4 appends, RFC
    /// 8414 section 3 inserts before the path; both drop a terminating slash first.
    fn discovery(issuer: &str, dangerous_http: bool) -> Result<[Self; 2], FetchError> {
        let base = Self::new(issuer, dangerous_http)?;
        if base.url.query().is_some() || base.url.fragment().is_some() {
            return Err(FetchError::BadUrl);
        }
        let path = base.url.path().trim_end_matches('/').to_owned();
        let at = |path: String| {
            let mut place = base.clone();
            place.url.set_path(&path);
            place
        };
        Ok([
            at(format!("{path}/.well-known/openid-configuration")),
            at(format!("/.well-known/oauth-authorization-server{path}")),
        ])
    }

    /// Where a redirect leads, if it may be followed.
    fn redirect(&self, headers: &HeaderMap) -> Result<Self, FetchError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let url =
            location.and_then(|location| self.url.join(location).ok()).ok_or(FetchError::StrayRedirect)?;
        let next = Self::new(url.as_str(), self.dangerous_http).map_err(|_| FetchError::StrayRedirect)?;
        let same_port = self.url.port_or_known_default() == next.url.port_or_known_default();
        let same_scheme = self.url.scheme() == next.url.scheme();
        let upgrade = self.url.scheme() == "http" && next.url.scheme() == "https";
        let stays = self.url.host_str() == next.url.host_str() && ((same_scheme && same_port) || upgrade);
        if stays { Ok(next) } else { Err(FetchError::StrayRedirect) }
    }

    fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl Client {
    /// Where an issuer's discovery document says its keys are.
    pub async fn discover(&self, issuer: &str, dangerous_http: bool) -> Result<Place, FetchError> {
        let [openid, oauth] = Place::discovery(issuer, dangerous_http)?;
        let found = match self.get(openid, None).await {
            // Nothing there. An outage (5xx, no connection) is not an answer to go by.
            Err(FetchError::Status(400..=499)) => self.get(oauth, None).await?,
            found => found?,
        };
        let text = read(found, DOCUMENT_LIMIT).await?;
        let document: Document = serde_json::from_slice(&text)
            .map_err(|error| FetchError::NotADocument(cut(&error.to_string())))?;
        if document.issuer != issuer {
            return Err(FetchError::WrongIssuer(cut(&document.issuer)));
        }
        Place::new(&document.jwks_uri, dangerous_http)
    }

    /// A key set of at most `limit` octets. `etag` is that of the set at hand, if it came from this place.
    pub async fn key_set(
        &self,
        place: &Place,
        etag: Option<&HeaderValue>,
        limit: usize,
    ) -> Result<Fetched, FetchError> {
        let response = self.get(place.clone(), etag).await?;
        let headers = response.headers();
        let max_age = max_age(headers);
        let validator = headers.get(ETAG).filter(|value| value.len() <= LONGEST_ETAG).cloned();
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Fetched { text: None, etag: validator.or_else(|| etag.cloned()), max_age });
        }
        Ok(Fetched { text: Some(read(response, limit).await?), etag: validator, max_age })
    }

    /// Posts a form as a client with an `Authorization` of its own, and reads a JSON answer of at most `limit` octets. What was
    /// posted is a secret: no redirect is followed with it.
    pub async fn post(
        &self,
        place: &Place,
        authorization: HeaderValue,
        form: String,
        limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let request = self.part(place)?.post(place.url.clone());
        let request = request
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, authorization)
            .body(form);
        let response = request.send().await.map_err(unreachable)?;
        match response.status().as_u16() {
            200 => read(response, limit).await,
            status => Err(FetchError::Status(status)),
        }
    }

    /// Gets, following redirects: 200, or 304 if `etag` was given.
    async fn get(&self, mut place: Place, etag: Option<&HeaderValue>) -> Result<Response, FetchError> {
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.part(&place)?.get(place.url.clone()).header(ACCEPT, ACCEPTED);
            if let Some(etag) = etag {
                request = request.header(IF_NONE_MATCH, etag);
            }
            let response = request.send().await.map_err(unreachable)?;
            match response.status().as_u16() {
                200 => return Ok(response),
                304 if etag.is_some() => return Ok(response),
                301 | 302 | 303 | 307 | 308 => place = place.redirect(response.headers())?,
                status => return Err(FetchError::Status(status)),
            }
        }
        Err(FetchError::ManyRedirects)
    }

    /// The client for this place. Loopback is never asked through a proxy. Plain HTTP needs no root
    /// certificates, so that a machine without any can still use it.
    fn part(&self, place: &Place) -> Result<&reqwest::Client, FetchError> {
        let (direct, tls) = (place.is_loopback(), place.url.scheme() == "https");
        let [a, b, c, d] = &self.parts;
        let part = match (direct, tls) {
            (false, false) => a,
            (false, true) => b,
            (true, false) => c,
            (true, true) => d,
        };
        if let Some(client) = part.get() {
            return Ok(client);
        }
        // The process installs the same provider at start; this is for whoever uses the library without.
        let _ = aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .pool_idle_timeout(POOL_IDLE)
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        if direct {
            builder = builder.no_proxy();
        }
        if !tls {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| FetchError::NoTls(chain(error)))?;
        Ok(part.get_or_init(|| client))
    }
}

/// Reads a body of at most `limit` octets, chunk by chunk: what a length header says is not to be trusted.
async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if text.len() + chunk.len() > limit {
            return Err(FetchError::TooLong(limit));
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// `max-age` of `Cache-Control` (RFC 9111 section 5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.parse().ok().map(Duration::from_secs))?
    })
}

fn unreachable(error: reqwest::Error) -> FetchError {
    FetchError::Unreachable(chain(error))
}

/// The causes of an error in one line, without the URL.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut causes = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes = format!("{causes}: {next}");
        cause = next.source();
    }
    cut(&causes)
}

/// At most [`LONGEST_WORD`] characters, none of them a control: a server's words in our log.
fn cut(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_WORD).collect()
}

const MOST_REDIRECTS: usize = 2;
/// A discovery document is a few KiB.
const DOCUMENT_LIMIT: usize = 256 * 1024;
const LONGEST_ETAG: usize = 1_024;
const LONGEST_WORD: usize = 300;
/// Fetches are minutes apart: a connection is kept for the steps of one.
const POOL_IDLE: Duration = Duration::from_secs(5);
/// RFC 7517 section 8.5.2 registers the first.
const ACCEPTED: &str = "application/jwk-set+json, application/json";
