//! Why hands were not shaken, in words of ours: no octet of the other side's is repeated.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// What an operator is told.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enumerations are open, and what is rare needs no words of its own"
)]
pub fn why(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "no certificate was shown",
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "what came is no TLS",
        Error::InvalidMessage(_) => "a message that is none",
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "a message out of turn"
        }
        Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "neither TLS 1.2 nor 1.3 is spoken",
        Error::PeerIncompatible(_) => "nothing that both sides speak",
        Error::PeerMisbehaved(_) => "the other side broke the protocol",
        Error::NoApplicationProtocol => "no application protocol in common",
        Error::DecryptError => "what came cannot be decrypted",
        Error::PeerSentOversizedRecord => "a record past its bound",
        Error::AlertReceived(alert) => refused(*alert),
        _ => "TLS failed",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "as above")]
fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "the certificate's issuer is not known",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is for another purpose"
        }
        CertificateError::BadSignature => "the certificate's signature is wrong",
        CertificateError::Revoked => "the certificate is revoked",
        _ => "the certificate is not accepted",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "as above")]
fn refused(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => "the other side wants a certificate",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA => "the other side does not accept our certificate",
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "the other side speaks nothing that we do"
        }
        AlertDescription::NoApplicationProtocol => "the other side knows none of our application protocols",
        AlertDescription::UnrecognisedName => "the other side does not know the name",
        _ => "the other side broke off",
    }
}
