//! PEM (RFC 7468), as far as keys need it, and the key inside a certificate.

use zeroize::Zeroizing;

/// One block, decoded. It may be a private key.
pub(crate) struct Block {
    /// What stands after `BEGIN`.
    pub(crate) label: String,
    /// The DER inside.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Reads every block; text around them is ignored. The error never shows what stands in the file.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block>, &'static str> {
    let text = str::from_utf8(text).map_err(|_| "not PEM text")?;
    let mut blocks = Vec::new();
    let mut open: Option<(String, Zeroizing<String>)> = None;
    for line in text.lines().map(str::trim) {
        let begin = line.strip_prefix("-----BEGIN ").and_then(|label| label.strip_suffix("-----"));
        let end = line.strip_prefix("-----END ").and_then(|label| label.strip_suffix("-----"));
        match (&mut open, begin, end) {
            (None, Some(label), None) => {
                open = Some((label.to_owned(), Zeroizing::new(String::with_capacity(text.len()))))
            }
            (None, None, None) => {}
            (Some((label, base64)), None, Some(ended)) if label == ended => {
                let der = base64_simd::STANDARD
                    .decode_to_vec(base64.as_bytes())
                    .map_err(|_| "a PEM block is not base64, or is encrypted")?;
                blocks.push(Block { label: std::mem::take(label), der: Zeroizing::new(der) });
                open = None;
            }
            (Some((_, base64)), None, None) => base64.push_str(line),
            (Some(_), _, _) | (None, _, Some(_)) => {
                return Err("PEM blocks that do not begin and end in turn");
            }
        }
    }
    if open.is_some() {
        return Err("a PEM block that does not end");
    }
    Ok(blocks)
}

/// What a line `name: value` above the first block says: explanatory text, which RFC 7468 section 2 permits there
/// and asks readers to ignore. Ours are written by [`write()`].
pub(crate) fn note<'t>(text: &'t [u8], name: &str) -> Option<&'t str> {
    let lines = str::from_utf8(text).ok()?.lines().map(str::trim);
    let mut above = lines.take_while(|line| !line.starts_with("-----BEGIN "));
    above.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// Writes one block, 64 characters a line, below whole lines of `notes`.
pub(crate) fn write(notes: &str, label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(base64_simd::STANDARD.encode_to_string(der));
    let mut text = Zeroizing::new(format!("{notes}-----BEGIN {label}-----\n"));
    // Written at once, lest growing leaves copies of a private key behind.
    text.reserve(base64.len() * 2 + label.len() + 32);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The SubjectPublicKeyInfo of an X.509 certificate (RFC 5280 section 4.1). A certificate is only a wrapping
/// of its key here: neither its dates nor its signature are looked at, because the operator put it there.
pub(crate) fn certificate_key(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(outer.content, SEQUENCE)?;
    let mut rest = fields.content;
    if let Some((_, after)) = element(rest, VERSION) {
        rest = after;
    }
    // serialNumber, signature, issuer, validity, subject; then the key.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, rest) = element(rest, tag)?;
    }
    (fields, _) = element(rest, SEQUENCE)?;
    Some(fields.whole)
}

/// One DER element.
#[derive(Clone, Copy)]
struct Element<'d> {
    whole: &'d [u8],
    content: &'d [u8],
}

/// Splits off one element of this tag; lengths are definite and at most four octets long (X.690 section 8.1.3).
fn element(der: &[u8], tag: u8) -> Option<(Element<'_>, &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0_usize, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        0x80 | 0x85.. => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((Element { whole: &der[..der.len() - after.len()], content }, after))
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`: the version, absent from certificates of version 1.
const VERSION: u8 = 0xa0;
