//! How a handshake came out.

use rustls::Error;

/// How a handshake came out: `ok`, or what it failed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Ok,
    /// This node has no certificate that is fit for use.
    NoCertificate,
    /// The endpoint's certificate did not verify, or it showed none.
    Certificate,
    /// The peer sent an alert.
    Alert,
    /// The two sides have no version, cipher or group in common.
    Incompatible,
    /// What the peer sent is no handshake.
    Protocol,
    /// The peer ended or reset the connection.
    Closed,
    /// It took too long.
    Timeout,
}

impl Outcome {
    /// Every outcome, in the order of the documents.
    pub(crate) const ALL: [Outcome; 8] = [
        Outcome::Ok,
        Outcome::NoCertificate,
        Outcome::Certificate,
        Outcome::Alert,
        Outcome::Incompatible,
        Outcome::Protocol,
        Outcome::Closed,
        Outcome::Timeout,
    ];

    /// The word in metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::NoCertificate => "no_certificate",
            Outcome::Certificate => "certificate",
            Outcome::Alert => "alert",
            Outcome::Incompatible => "incompatible",
            Outcome::Protocol => "protocol",
            Outcome::Closed => "closed",
            Outcome::Timeout => "timeout",
        }
    }
}

impl From<&Error> for Outcome {
    fn from(error: &Error) -> Outcome {
        match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented | Error::UnsupportedNameType => {
                Outcome::Certificate
            }
            Error::AlertReceived(_) => Outcome::Alert,
            Error::PeerIncompatible(_) => Outcome::Incompatible,
            // rustls' list is open; what else there is says that the bytes do not make sense.
            _ => Outcome::Protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, PeerIncompatible};

    use super::*;

    #[test]
    fn each_outcome_has_its_place_and_its_own_word() {
        let words: std::collections::BTreeSet<_> = Outcome::ALL.iter().map(|outcome| outcome.word()).collect();
        assert_eq!(words.len(), Outcome::ALL.len());
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }

    #[test]
    fn errors_by_whose_fault_they_are() {
        let cases = [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                Outcome::Certificate,
            ),
            (Error::AlertReceived(AlertDescription::UnknownCA), Outcome::Alert),
            (
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                Outcome::Incompatible,
            ),
            (Error::DecryptError, Outcome::Protocol),
        ];
        for (error, outcome) in cases {
            assert_eq!(Outcome::from(&error), outcome, "{error}");
        }
    }
}
