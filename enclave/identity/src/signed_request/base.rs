//! The signature base (RFC 9421 2.5): one line for each covered component, then the parameters.
//!
//! Of the derived components those of a request; of fields the joined value. Parameters of components (`sf`, `key`, `bs`,
//! `req`, `tr`, and with them `@query-param`) are refused: no client of this dialect sends them, and each is one more
//! way to read a request in two ways.

use sfv::{FieldType, Item, ListEntry, Parser};

use super::{MAX_BASE, SignatureFault, SignedRequest, candidate::Candidate};

/// The bytes that are signed.
pub(super) fn signature_base(request: &SignedRequest<'_>, candidate: &Candidate) -> Result<Vec<u8>, SignatureFault> {
    let mut base = Vec::new();
    for item in &candidate.input.items {
        base.extend(line(request, item)?);
        base.push(b'\n');
        if base.len() > MAX_BASE {
            return Err(SignatureFault::TooLarge { what: "bytes of the signature base", limit: MAX_BASE });
        }
    }
    let input = vec![ListEntry::InnerList(candidate.input.clone())];
    let parameters = input.serialize().ok_or(SignatureFault::BadSignatureInput)?;
    base.extend(b"\"@signature-params\": ");
    base.extend(parameters.into_bytes());
    Ok(base)
}

/// The line of one component, written as in `Signature-Input`, for instance `"@method"`. `None`: it cannot be covered.
pub fn component_line(request: &SignedRequest<'_>, component: &str) -> Option<Vec<u8>> {
    line(request, &Parser::new(component).parse().ok()?).ok()
}

fn line(request: &SignedRequest<'_>, item: &Item) -> Result<Vec<u8>, SignatureFault> {
    let name =
        item.bare_item.as_string().filter(|_| item.params.is_empty()).ok_or(SignatureFault::BadSignatureInput)?;
    let value = component(request, name.as_str()).ok_or(SignatureFault::BadSignatureInput)?;
    // A line break in a value would let it write lines of its own.
    if value.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(SignatureFault::BadSignatureInput);
    }
    Ok([format!("\"{}\": ", name.as_str()).into_bytes(), value].concat())
}

fn component(request: &SignedRequest<'_>, name: &str) -> Option<Vec<u8>> {
    let path = if request.path.is_empty() { "/" } else { request.path };
    let derived = match name {
        "@method" => request.method.to_owned(),
        "@authority" => authority(request),
        "@scheme" => request.scheme.to_ascii_lowercase(),
        "@path" => path.to_owned(),
        "@query" => format!("?{}", request.query.unwrap_or_default()),
        "@request-target" => match request.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        },
        field if is_field_name(field) => return request.field(field),
        _ => return None,
    };
    Some(derived.into_bytes())
}

/// Lower case, without the port that the scheme has anyway.
fn authority(request: &SignedRequest<'_>) -> String {
    let authority = request.authority.to_ascii_lowercase();
    let default = match request.scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return authority,
    };
    authority.strip_suffix(default).map_or_else(|| authority.clone(), str::to_owned)
}

/// A token (RFC 9110 5.6.2) in lower case.
fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A field line without the white space around it; obsolete folds become one space (RFC 9421 2.1).
pub(super) fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let fold = match rest {
            [b'\r', b'\n', b' ' | b'\t', ..] => rest.get(2..),
            [b'\n', b' ' | b'\t', ..] => rest.get(1..),
            _ => None,
        };
        if let Some(folded) = fold {
            while matches!(out.last(), Some(b' ' | b'\t')) {
                out.pop();
            }
            out.push(b' ');
            rest = folded.trim_ascii_start();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    trim_ows(&out).to_vec()
}

fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
