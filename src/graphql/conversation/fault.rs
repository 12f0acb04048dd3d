//! What ends a conversation, and the codes that say so.

/// Why it ends. Nothing of what a client sent is in what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A message that is none of the protocol's.
    Malformed,
    /// A token where the handshake had brought another.
    TwoCredentials,
    /// An operation before the conversation had begun.
    Early,
    /// No `connection_init` in time.
    Late,
    /// An id whose operation is under way.
    SameId,
    /// `connection_init` twice.
    TwoInits,
    /// The token has expired.
    Expired,
    /// The token was revoked.
    Revoked,
    /// The token does not count any more, for another reason; or a new one was refused.
    Forbidden,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::TwoCredentials,
        Self::Early,
        Self::Late,
        Self::SameId,
        Self::TwoInits,
        Self::Expired,
        Self::Revoked,
        Self::Forbidden,
    ];

    /// The end of a token that has expired, was revoked, or does not count for another reason.
    pub fn of(expired: bool, revoked: bool) -> Self {
        match (expired, revoked) {
            (true, _) => Self::Expired,
            (false, true) => Self::Revoked,
            (false, false) => Self::Forbidden,
        }
    }

    /// The code of `graphql-transport-ws`. Its clients try again after 4403, with a new token if they have one, and take the
    /// others for a programmer's mistake.
    pub fn code(self) -> u16 {
        match self {
            Self::Malformed | Self::TwoCredentials => 4400,
            Self::Early => 4401,
            Self::Expired | Self::Revoked | Self::Forbidden => 4403,
            Self::Late => 4408,
            Self::SameId => 4409,
            Self::TwoInits => 4429,
        }
    }

    /// The words beside it: those of that protocol where it has some.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "Invalid message",
            Self::TwoCredentials => "Two credentials",
            Self::Early => "Unauthorized",
            Self::Late => "Connection initialisation timeout",
            Self::SameId => "Subscriber already exists",
            Self::TwoInits => "Too many initialisation requests",
            Self::Expired => "Token expired",
            Self::Revoked => "Token revoked",
            Self::Forbidden => "Forbidden",
        }
    }
}
