//! The script that `/api/attestation/bundle` serves: `scripts/verify-bundle` byte for byte, then the bundle in base64
//! as the here-document that the program's last line opens (docs/WIRE.md, "The served script").

use base64::Engine as _;
use evidence::{
    Digest,
    json::{Value, object},
};
use sha2::{Digest as _, Sha256};

/// The program part.
const PROGRAM: &str = include_str!("../../scripts/verify-bundle");

/// The line that ends the here-document.
const END: &str = "SEALGATE_BUNDLE_BASE64\n";

/// SHA-256 of the program part, which a release lists.
pub(crate) fn program_digest() -> Digest {
    Sha256::digest(PROGRAM).into()
}

/// `{script, sha256, command}` for a bundle's bytes.
pub(crate) fn offline_verification(bundle: &[u8]) -> Value {
    let encoded = base64::engine::general_purpose::STANDARD.encode(bundle);
    let mut script = String::with_capacity(PROGRAM.len() + encoded.len() * 78 / 76 + 64);
    script.push_str(PROGRAM);
    for line in encoded.as_bytes().chunks(76) {
        script.extend(line.iter().map(|byte| char::from(*byte)));
        script.push('\n');
    }
    script.push_str(END);
    let sha256 = hex::encode(program_digest());
    let command = format!(
        "jq -r .offlineVerification.script bundle.json > verify.sh && \
         sed \"/<<'SEALGATE_BUNDLE_BASE64'\\$/q\" verify.sh | sha256sum | grep -q '^{sha256} ' && bash verify.sh"
    );
    object([("script", script.into()), ("sha256", sha256.into()), ("command", command.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_ends_where_its_here_document_begins() {
        assert!(PROGRAM.ends_with("<<'SEALGATE_BUNDLE_BASE64'\n"));
        let served = offline_verification(&[7; 100]);
        let script = served.member("script").and_then(Value::as_str).unwrap();
        let body = script.strip_prefix(PROGRAM).unwrap().strip_suffix(END).unwrap();
        let joined: String = body.lines().collect();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(joined).unwrap(), [7; 100]);
    }
}
