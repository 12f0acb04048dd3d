//! How the log is written.

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Form.
    pub format: LogFormat,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Box<str>,
    /// One line a request.
    pub access: bool,
}

/// Log form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say all")]
pub enum LogFormat {
    Text,
    #[default]
    Json,
}
