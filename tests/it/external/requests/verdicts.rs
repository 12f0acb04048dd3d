//! What becomes of the corpora's requests, where it is not what the corpus says. A change either way fails the test.

/// A request's file, what became of it, and why.
type Row = (&'static str, &'static str, &'static str);

/// Requests that are invalid to their own reader and pass here: as one request, and as written or with a Host.
pub const INVALID_PASSED: [Row; 10] = [
    ("invalid/006", "passed", "a line longer than its own bound, not than ours"),
    ("invalid/007", "passed", "a line longer than its own bound, not than ours"),
    ("invalid/008", "passed", "lines longer than its own bound, not than ours"),
    ("invalid/010", "passed", "a bound that its test sets"),
    ("invalid/017", "passed", "a line longer than its own bound, not than ours"),
    ("invalid/019", "passed", "X-Forwarded-Proto and -Ssl at odds: neither is forwarded"),
    ("invalid/limit_header_default_01", "passed", "a line longer than its own bound, not than ours"),
    ("invalid/rfc9110_trailer_forbidden_cl_01", "passed", "a trailer: none is forwarded"),
    ("invalid/rfc9110_trailer_forbidden_host_01", "passed", "a trailer: none is forwarded"),
    ("invalid/rfc9110_trailer_forbidden_te_01", "passed", "a trailer: none is forwarded"),
];

/// Requests that are valid to their own reader and refused here: why as written, and what becomes of them with a
/// Host (`-`: they have one).
pub const VALID_REFUSED: [Row; 46] = [
    ("valid/001", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/004", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/006", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/007", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/008", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/010", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/011", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/012", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/002", "malformed_request, -", "a Host with `=` in it"),
    ("valid/003", "malformed_request, -", "a Host with `=` in it"),
    ("valid/005", "malformed_request, malformed_request", "a fragment in the target"),
    ("valid/013", "malformed_request, malformed_request", "spaces in a chunk's extension"),
    ("valid/014", "malformed_request, malformed_request", "quotes in the target"),
    ("valid/017", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/018", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/019", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/020", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/021", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/022", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/023", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/024", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/026", "malformed_request, passed", "no Host (RFC 9112 section 3.2)"),
    ("valid/025", "malformed_request, malformed_request", "a transfer coding other than chunked"),
    ("valid/025_line", "malformed_request, malformed_request", "a transfer coding other than chunked"),
    ("valid/028", "malformed_request, malformed_request", "a space before the colon"),
    ("valid/029", "malformed_request, malformed_request", "the transfer coding twice, once identity"),
    ("valid/030", "malformed_request, malformed_request", "the transfer coding twice, once identity"),
    ("valid/031", "malformed_request, malformed_request", "a method that begins with a hyphen"),
    ("valid/031compat", "malformed_request, malformed_request", "a method that begins with a hyphen"),
    ("valid/031compat2", "malformed_request, malformed_request", "a method that begins with a hyphen"),
    ("valid/040", "malformed_request, malformed_request", "another spelling of Content-Length beside it"),
    (
        "valid/040_compat",
        "malformed_request, malformed_request",
        "another spelling of Content-Length beside it",
    ),
    ("valid/099", "request_timeout, -", "its body is shorter than its length says"),
    ("valid/100", "malformed_request, malformed_request", "empty segments in the path"),
    ("valid/compat_obs_fold", "malformed_request, -", "a folded line"),
    ("valid/compat_obs_fold_huge", "malformed_request, malformed_request", "a folded line"),
    ("valid/pp_01", "malformed_request, malformed_request", "a PROXY header where none is expected"),
    ("valid/pp_02", "malformed_request, malformed_request", "a PROXY header where none is expected"),
    ("valid/pp_04", "malformed_request, -", "a PROXY header where none is expected"),
    ("valid/pp_05", "malformed_request, -", "a PROXY header where none is expected"),
    ("valid/rfc9112_smuggle_gzip_chunked_01", "malformed_request, -", "a transfer coding other than chunked"),
    (
        "valid/rfc9112_smuggle_te_identity_chunked_01",
        "malformed_request, -",
        "a transfer coding other than chunked",
    ),
    ("valid/rfc9112_target_absolute_userinfo_01", "malformed_request, -", "userinfo in the target"),
    (
        "valid/rfc9112_target_asterisk_options_01",
        "malformed_request, -",
        "`OPTIONS *`: no route has that path",
    ),
    ("valid/rfc9112_target_authority_connect_01", "method_not_allowed, -", "CONNECT"),
    ("valid/rfc9112_target_authority_ipv6_01", "method_not_allowed, -", "CONNECT"),
];
