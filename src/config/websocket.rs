//! Which pages may open a WebSocket on a route.

/// `websocket` of a route. A browser sends its cookies with a handshake from any page, and no preflight comes before
/// it: the `Origin` is all there is to tell a page of one's own from a stranger's (threats S7, RFC 6455 section 10.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WebSocket {
    /// Those of the request's own host, and those that the route's CORS rule lets in with credentials.
    #[default]
    SameOrigin,
    /// None; nor any program.
    Never,
    /// All.
    Any,
    /// These exact origins.
    Origins(Vec<Box<str>>),
}
