//! `Content-Digest` (RFC 9530) against the body. A covered digest by itself proves nothing about the body.

use sfv::{BareItem, Dictionary, ListEntry, Parser};
use sha2::{Digest, Sha256, Sha512};

use super::{MAX_FIELD, SignatureFault, SignedRequest};

/// Checks every digest that we know; one must be there if there is a body or if the digest is covered.
pub(super) fn check(request: &SignedRequest<'_>, covered: bool) -> Result<(), SignatureFault> {
    let required = covered || !request.body.is_empty();
    let Some(field) = request.field("content-digest") else {
        return if required { Err(SignatureFault::DigestRequired) } else { Ok(()) };
    };
    if field.len() > MAX_FIELD {
        return Err(SignatureFault::TooLarge { what: "bytes of Content-Digest", limit: MAX_FIELD });
    }
    let members: Dictionary = Parser::new(&field).parse().map_err(|_| SignatureFault::DigestMismatch)?;
    let mut known = 0;
    for (algorithm, entry) in &members {
        let wanted = match algorithm.as_str() {
            "sha-256" => Sha256::digest(request.body).to_vec(),
            "sha-512" => Sha512::digest(request.body).to_vec(),
            _ => continue,
        };
        match entry {
            ListEntry::Item(item) if item.bare_item == BareItem::ByteSequence(wanted) => known += 1,
            _ => return Err(SignatureFault::DigestMismatch),
        }
    }
    if known > 0 || !required { Ok(()) } else { Err(SignatureFault::DigestRequired) }
}
