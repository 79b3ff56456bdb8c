//! Private keys, and whether they belong to a public one.

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};

use super::damage;
use super::der::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, whole_bytes};

/// Bits of an RSA key at least and at most; the TLS library signs with no others.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// There is no such key in the data.
    #[error("is not set")]
    Missing,
    /// No PEM at all, or of something else.
    #[error(
        "has no PEM block BEGIN PRIVATE KEY, BEGIN EC PRIVATE KEY or BEGIN RSA PRIVATE KEY; a key with a passphrase cannot \
         be used"
    )]
    Empty,
    /// The PEM block is damaged.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    /// The block is PEM, and no key is in it.
    #[error("holds no private key of PKCS #8, PKCS #1 or SEC 1")]
    NotAKey,
    /// A key that TLS is not served with.
    #[error("holds a key of a kind that cannot be used; use ECDSA on P-256, P-384 or P-521, Ed25519, or RSA")]
    Unsupported,
    /// An RSA key that is too short or too long.
    #[error("holds an RSA key of {bits} bits; it must have 2048 to 8192")]
    RsaSize {
        /// Length of its modulus.
        bits: usize,
    },
}

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

/// A public key. RSA: modulus and exponent; else the point.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    algorithm: Option<Algorithm>,
    parts: Vec<Vec<u8>>,
}

/// What a private key tells of its public half.
pub(super) struct PrivateKey {
    /// `None` for an EC key that does not name its curve.
    algorithm: Option<Algorithm>,
    /// `None` where the key has only the private half.
    public: Option<Vec<Vec<u8>>>,
}

impl PrivateKey {
    /// Whether nothing says that this is not the private half of `public`.
    pub(super) fn belongs_to(&self, public: &PublicKey) -> bool {
        let same_algorithm = match self.algorithm {
            Some(algorithm) => public.algorithm == Some(algorithm),
            None => matches!(
                public.algorithm,
                Some(Algorithm::P256 | Algorithm::P384 | Algorithm::P521)
            ),
        };
        same_algorithm && self.public.as_ref().is_none_or(|parts| *parts == public.parts)
    }
}

/// Reads the first private key in PEM text.
pub(super) fn read_private(pem: &[u8]) -> Result<PrivateKey, KeyFault> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => KeyFault::Empty,
        other => KeyFault::Damaged(damage(&other)),
    })?;
    match &key {
        PrivateKeyDer::Pkcs1(key) => read_pkcs1(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => read_sec1(key.secret_sec1_der(), None),
        PrivateKeyDer::Pkcs8(key) => read_pkcs8(key.secret_pkcs8_der()),
        _ => Err(KeyFault::Unsupported),
    }
}

/// Reads the public key of a certificate. One of an algorithm that is not known belongs to no private key.
pub(super) fn read_public(info: &SubjectPublicKeyInfoDer<'_>) -> Option<PublicKey> {
    let mut info = Reader::new(info.as_ref()).sequence()?;
    let algorithm = read_algorithm(&mut info)?;
    let bits = info.bits()?;
    let parts = if algorithm == Some(Algorithm::Rsa) {
        let mut key = Reader::new(bits).sequence()?;
        vec![key.expect(INTEGER)?.to_vec(), key.expect(INTEGER)?.to_vec()]
    } else {
        vec![bits.to_vec()]
    };
    Some(PublicKey { algorithm, parts })
}

/// RFC 8017, A.1.2: version, modulus, public exponent, and the private numbers.
fn read_pkcs1(der: &[u8]) -> Result<PrivateKey, KeyFault> {
    fn numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
        let mut key = Reader::new(der).sequence()?;
        key.expect(INTEGER)?;
        Some((key.expect(INTEGER)?, key.expect(INTEGER)?))
    }
    let (modulus, exponent) = numbers(der).ok_or(KeyFault::NotAKey)?;
    let digits = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let unused = digits.first().map_or(0, |first| first.leading_zeros());
    let bits = (digits.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or(0));
    if !RSA_BITS.contains(&bits) {
        return Err(KeyFault::RsaSize { bits });
    }
    Ok(PrivateKey {
        algorithm: Some(Algorithm::Rsa),
        public: Some(vec![modulus.to_vec(), exponent.to_vec()]),
    })
}

/// RFC 5915: version, private key, perhaps `[0]` the curve, perhaps `[1]` the point. `outer` is the curve that PKCS #8
/// names around it.
fn read_sec1(der: &[u8], outer: Option<Algorithm>) -> Result<PrivateKey, KeyFault> {
    const CURVE: u8 = 0xa0;
    const POINT: u8 = 0xa1;
    let mut key = Reader::new(der).sequence().ok_or(KeyFault::NotAKey)?;
    key.expect(INTEGER)
        .and_then(|_| key.expect(OCTET_STRING))
        .ok_or(KeyFault::NotAKey)?;
    let mut algorithm = outer;
    let mut public = None;
    while let Some(element) = key.element() {
        let mut inner = Reader::new(element.contents);
        match element.tag {
            CURVE => {
                let named = inner.expect(OBJECT_IDENTIFIER).and_then(curve);
                algorithm = Some(named.ok_or(KeyFault::Unsupported)?);
            }
            POINT => public = Some(vec![inner.bits().ok_or(KeyFault::NotAKey)?.to_vec()]),
            _ => return Err(KeyFault::NotAKey),
        }
    }
    if outer.is_some() && outer != algorithm {
        return Err(KeyFault::NotAKey);
    }
    Ok(PrivateKey { algorithm, public })
}

/// RFC 5958: version, algorithm, the key as its algorithm writes it, perhaps `[0]` attributes, perhaps `[1]` the public
/// key.
fn read_pkcs8(der: &[u8]) -> Result<PrivateKey, KeyFault> {
    const PUBLIC: u8 = 0x81;
    let mut key = Reader::new(der).sequence().ok_or(KeyFault::NotAKey)?;
    key.expect(INTEGER).ok_or(KeyFault::NotAKey)?;
    let algorithm = read_algorithm(&mut key).ok_or(KeyFault::NotAKey)?;
    let private = key.expect(OCTET_STRING).ok_or(KeyFault::NotAKey)?;
    match algorithm {
        None => Err(KeyFault::Unsupported),
        Some(Algorithm::Rsa) => read_pkcs1(private),
        Some(curve @ (Algorithm::P256 | Algorithm::P384 | Algorithm::P521)) => read_sec1(private, Some(curve)),
        Some(Algorithm::Ed25519) => {
            // RFC 8410: an octet string in the octet string.
            let seed = Reader::new(private).expect(OCTET_STRING);
            seed.filter(|seed| seed.len() == 32).ok_or(KeyFault::NotAKey)?;
            let mut public = None;
            while let Some(element) = key.element() {
                if element.tag == PUBLIC {
                    public = whole_bytes(element.contents).map(|bytes| vec![bytes.to_vec()]);
                }
            }
            Ok(PrivateKey {
                algorithm: Some(Algorithm::Ed25519),
                public,
            })
        }
    }
}

/// An AlgorithmIdentifier (RFC 5280, 4.1.1.2). `None` inside for one that is not known.
fn read_algorithm(reader: &mut Reader<'_>) -> Option<Option<Algorithm>> {
    let mut algorithm = reader.sequence()?;
    let identifier = algorithm.expect(OBJECT_IDENTIFIER)?;
    Some(match identifier {
        // 1.2.840.113549.1.1.1
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1] => Some(Algorithm::Rsa),
        // 1.2.840.10045.2.1, with the curve as parameter
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => algorithm.expect(OBJECT_IDENTIFIER).and_then(curve),
        // 1.3.101.112
        [0x2b, 0x65, 0x70] => Some(Algorithm::Ed25519),
        _ => None,
    })
}

/// Curves by their object identifier (RFC 5480).
fn curve(identifier: &[u8]) -> Option<Algorithm> {
    match identifier {
        // 1.2.840.10045.3.1.7
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => Some(Algorithm::P256),
        // 1.3.132.0.34 and 1.3.132.0.35
        [0x2b, 0x81, 4, 0, 0x22] => Some(Algorithm::P384),
        [0x2b, 0x81, 4, 0, 0x23] => Some(Algorithm::P521),
        _ => None,
    }
}
