//! The signatures of a request that are of our dialect, read and not checked.

use std::collections::BTreeSet;

use evidence::{UnixSeconds, Wallet};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};

use super::{
    MAX_CANDIDATES, MAX_COMPONENTS, MAX_FIELD, MAX_MEMBERS, MAX_NONCE, MAX_PARAMETERS, Rules, SignatureFault,
    SignedRequest,
};
use crate::eth;

/// One signature with what it says about itself.
pub(super) struct Candidate {
    /// Covered components and parameters, in the order as sent.
    pub(super) input: InnerList,
    pub(super) signature: Vec<u8>,
    pub(super) nonce: String,
    pub(super) created: u64,
    pub(super) expires: u64,
    keyid: String,
}

/// Those of our dialect, in wire order; one that does not read is its fault. Signatures for others are left alone.
pub(super) fn candidates(
    request: &SignedRequest<'_>,
) -> Result<Vec<Result<Candidate, SignatureFault>>, SignatureFault> {
    let (Some(inputs), Some(signatures)) = (request.field("signature-input"), request.field("signature")) else {
        return Err(SignatureFault::MissingHeaders);
    };
    if inputs.len().max(signatures.len()) > MAX_FIELD {
        return Err(SignatureFault::TooLarge { what: "bytes of Signature or Signature-Input", limit: MAX_FIELD });
    }
    let inputs: Dictionary = Parser::new(&inputs).parse().map_err(|_| SignatureFault::BadSignatureInput)?;
    let signatures: Dictionary = Parser::new(&signatures).parse().map_err(|_| SignatureFault::BadSignatureBytes)?;
    if inputs.len().max(signatures.len()) > MAX_MEMBERS {
        return Err(SignatureFault::TooLarge { what: "signatures", limit: MAX_MEMBERS });
    }
    let mut ours = Vec::new();
    for (label, entry) in &inputs {
        let ListEntry::InnerList(input) = entry else { return Err(SignatureFault::BadSignatureInput) };
        match dialect(input) {
            Dialect::One => ours.push(Candidate::read(input, signatures.get(label))),
            Dialect::Draft => ours.push(Err(SignatureFault::OtherDialect)),
            Dialect::Foreign => {}
        }
    }
    if ours.is_empty() && inputs.values().any(has_no_keyid) {
        return Err(SignatureFault::BadSignatureInput);
    }
    if ours.len() > MAX_CANDIDATES {
        return Err(SignatureFault::TooLarge { what: "signatures by a wallet", limit: MAX_CANDIDATES });
    }
    Ok(ours)
}

enum Dialect {
    One,
    Draft,
    Foreign,
}

/// The tag decides. A signature without one is of version 1 if its keyid says so.
fn dialect(input: &InnerList) -> Dialect {
    match input.params.get("tag") {
        Some(tag) if matches!(text(tag), Some("erc8128" | "erc8128-delegated")) => Dialect::Draft,
        Some(_) => Dialect::Foreign,
        None if input.params.get("keyid").and_then(text).is_some_and(|id| id.starts_with("erc8128:")) => Dialect::One,
        None => Dialect::Foreign,
    }
}

/// Then nobody could tell whose it is; parameters inside the parenthesis look like this.
fn has_no_keyid(entry: &ListEntry) -> bool {
    matches!(entry, ListEntry::InnerList(input) if !input.params.contains_key("keyid"))
}

impl Candidate {
    fn read(input: &InnerList, signature: Option<&ListEntry>) -> Result<Self, SignatureFault> {
        if input.items.len() > MAX_COMPONENTS {
            return Err(SignatureFault::TooLarge { what: "covered components", limit: MAX_COMPONENTS });
        }
        if input.params.len() > MAX_PARAMETERS {
            return Err(SignatureFault::TooLarge { what: "parameters of a signature", limit: MAX_PARAMETERS });
        }
        let signature = match signature {
            None => return Err(SignatureFault::LabelNotFound),
            Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence().filter(|bytes| !bytes.is_empty()),
            Some(ListEntry::InnerList(_)) => None,
        };
        let signature = signature.ok_or(SignatureFault::BadSignatureBytes)?.to_vec();
        let names = input.items.iter().map(|item| item.bare_item.as_string().filter(|_| item.params.is_empty()));
        let names: Option<BTreeSet<&str>> = names.map(|name| name.map(|name| name.as_str())).collect();
        if names.is_none_or(|names| names.len() != input.items.len()) {
            return Err(SignatureFault::BadSignatureInput);
        }
        if input.params.contains_key("alg") {
            return Err(SignatureFault::AlgorithmNotAllowed);
        }
        let time = |name| {
            let seconds = input.params.get(name).and_then(BareItem::as_integer).map(i64::from);
            seconds.and_then(|seconds| u64::try_from(seconds).ok()).ok_or(SignatureFault::BadTime)
        };
        let nonce = input.params.get("nonce").ok_or(SignatureFault::ReplayableNotAllowed)?;
        let nonce = text(nonce).filter(|nonce| (1..=MAX_NONCE).contains(&nonce.len()));
        Ok(Self {
            signature,
            nonce: nonce.ok_or(SignatureFault::NonceRequired)?.to_owned(),
            created: time("created")?,
            expires: time("expires")?,
            keyid: input.params.get("keyid").and_then(text).ok_or(SignatureFault::BadKeyId)?.to_owned(),
            input: input.clone(),
        })
    }

    /// Chain and wallet of `erc8128:<chain>:<address>`. Only a served chain passes, so a keyid on another costs nothing.
    pub(super) fn key(&self, rules: &Rules) -> Result<(u64, Wallet), SignatureFault> {
        let parts = self.keyid.strip_prefix("erc8128:").and_then(|rest| rest.split_once(':'));
        let (chain, address) = parts.ok_or(SignatureFault::BadKeyId)?;
        let digits = (1..=20).contains(&chain.len()) && chain.bytes().all(|byte| byte.is_ascii_digit());
        let chain = chain.parse().ok().filter(|chain| digits && rules.chains.contains(chain));
        let wallet = eth::parse_wallet(address).map_err(|_| SignatureFault::BadKeyId)?;
        Ok((chain.ok_or(SignatureFault::BadKeyId)?, wallet))
    }

    pub(super) fn check_time(&self, rules: &Rules, now: UnixSeconds) -> Result<(), SignatureFault> {
        let seconds = self.expires.checked_sub(self.created).filter(|seconds| *seconds > 0);
        let seconds = seconds.ok_or(SignatureFault::BadTime)?;
        if seconds > rules.window {
            return Err(SignatureFault::ValidityTooLong { seconds, limit: rules.window });
        }
        if self.created > now.0.saturating_add(rules.skew) {
            return Err(SignatureFault::NotYetValid { created: UnixSeconds(self.created) });
        }
        if now.0 > self.expires.saturating_add(rules.skew) {
            return Err(SignatureFault::Expired { expires: UnixSeconds(self.expires) });
        }
        Ok(())
    }

    pub(super) fn check_coverage(&self, request: &SignedRequest<'_>, rules: &Rules) -> Result<(), SignatureFault> {
        let query = request.query.map(|_| "@query");
        let body = (!request.body.is_empty()).then_some("content-digest");
        let minimum = ["@authority", "@method", "@path"].into_iter().chain(query).chain(body);
        for component in minimum.chain(rules.also_covered.iter().map(String::as_str)) {
            if !self.covers(component) {
                return Err(SignatureFault::NotRequestBound { component: component.to_owned() });
            }
        }
        Ok(())
    }

    pub(super) fn covers(&self, component: &str) -> bool {
        self.input.items.iter().any(|item| item.bare_item.as_string().is_some_and(|name| name.as_str() == component))
    }

    pub(super) fn component_names(&self) -> Vec<String> {
        self.input.items.iter().filter_map(|item| item.bare_item.as_string()).map(|name| name.as_str().into()).collect()
    }
}

fn text(item: &BareItem) -> Option<&str> {
    item.as_string().map(|text| text.as_str())
}
