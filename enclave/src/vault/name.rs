//! Names and values of secrets: variables of a server's environment, and none that would change which code runs.

use std::fmt;

use zeroize::Zeroizing;

/// Longest name, bytes.
pub(crate) const MAX_NAME_BYTES: usize = 128;
/// Longest value, bytes.
pub(crate) const MAX_VALUE_BYTES: usize = 32 << 10;

/// Variables that choose code: loaders, interpreters and their options, module paths, start-up files, and programs that
/// other programs start. A proof names the package that ran; with one of these its caller could have had something else
/// run under that name (docs/THREATS.md). Compared without regard to case, as npm reads some of them.
///
/// C library: what glibc itself ignores in programs with privileges (ld.so(8), secure-execution mode), and musl's.
const RESERVED: &[&str] = &[
    // The C library.
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MUSL_LOCPATH",
    "NIS_PATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "TMPDIR",
    "TZDIR",
    // Shells.
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "ENV",
    "HOME",
    "IFS",
    "OLDPWD",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "PWD",
    "SHELL",
    "SHELLOPTS",
    "ZDOTDIR",
    // Programs that others start.
    "BROWSER",
    "EDITOR",
    "PAGER",
    "SUDO_ASKPASS",
    "VISUAL",
    // Interpreters that have a name of their own for it.
    "CLASSPATH",
    "ELECTRON_RUN_AS_NODE",
    "GEM_HOME",
    "GEM_PATH",
    "JAVA_HOME",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "NPM_COMMAND",
    "NPM_EXECPATH",
    "NPM_NODE_EXECPATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "RUBYLIB",
    "RUBYOPT",
    "VIRTUAL_ENV",
    "_JAVA_OPTIONS",
    // git's own programs.
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "SSH_ASKPASS",
];

/// The same, by how they begin. `SEALGATE_` is the gateway's own.
const RESERVED_PREFIXES: &[&str] = &[
    "BASH_FUNC_",
    "BUN_",
    "BUNDLE_",
    "COMPLUS_",
    "CONDA_",
    "CORECLR_",
    "DENO_",
    "DOTNET_",
    "DYLD_",
    "GIT_CONFIG",
    "LD_",
    "LUA_",
    "MALLOC_",
    "NODE_",
    "NPM_CONFIG_",
    "NPM_LIFECYCLE_",
    "NPM_PACKAGE_",
    "OPENSSL_",
    "PIP_",
    "PYENV_",
    "PYTHON",
    "SEALGATE_",
    "TS_NODE_",
    "TSX_",
    "UV_",
    "XDG_",
];

/// The name of a secret: an environment identifier, 1 to 128 bytes, that chooses no code.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SecretName(String);

/// Why a name is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BadName {
    /// As it was sent, at most so much of it that a reader knows which.
    name: String,
    fault: NameFault,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NameFault {
    Shape,
    TooLong(usize),
    Reserved,
}

impl SecretName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`BadName`].
    pub(crate) fn parse(text: &str) -> Result<Self, BadName> {
        let bad = |fault| BadName { name: text.chars().take(64).collect(), fault };
        if text.len() > MAX_NAME_BYTES {
            return Err(bad(NameFault::TooLong(text.len())));
        }
        let name = Self::stored(text).ok_or(bad(NameFault::Shape))?;
        if name.is_reserved() { Err(bad(NameFault::Reserved)) } else { Ok(name) }
    }

    /// Reads a name that was taken once, perhaps before it was reserved.
    pub(super) fn stored(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (begins && goes_on && text.len() <= MAX_NAME_BYTES).then(|| Self(text.to_owned()))
    }

    /// Whether it would choose code. Such a name reaches no server, also if it was stored by a version that took it.
    pub(super) fn is_reserved(&self) -> bool {
        let upper = self.0.to_ascii_uppercase();
        RESERVED.contains(&upper.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            NameFault::Shape => write!(f, "secret name {:?} is no environment identifier", self.name),
            NameFault::TooLong(bytes) => {
                write!(f, "secret name {:?}… has {bytes} bytes, at most {MAX_NAME_BYTES} are taken", self.name)
            }
            NameFault::Reserved => {
                write!(f, "secret name {:?} is reserved: it would change which code runs", self.name)
            }
        }
    }
}

impl BadName {
    /// How to fix it.
    pub(crate) fn fix(&self) -> &'static str {
        match self.fault {
            NameFault::Shape | NameFault::TooLong(_) => {
                "use letters, digits and _, not a digit first, for instance API_KEY"
            }
            NameFault::Reserved => "use the name of a credential that the server documents, for instance API_KEY",
        }
    }
}

/// Why a value is not taken. Says nothing of the value but its length.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ValueFault {
    /// There is nothing in it.
    Empty,
    /// Longer than a variable may be.
    TooLong(usize),
    /// It holds a NUL byte, which no variable can.
    Nul,
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong(bytes) => write!(f, "has {bytes} bytes, at most {MAX_VALUE_BYTES} are taken"),
            Self::Nul => f.write_str("holds a NUL byte"),
        }
    }
}

/// Whether a value can be a variable.
pub(super) fn check_value(value: &Zeroizing<String>) -> Result<(), ValueFault> {
    match value.len() {
        0 => Err(ValueFault::Empty),
        bytes if bytes > MAX_VALUE_BYTES => Err(ValueFault::TooLong(bytes)),
        _ if value.contains('\0') => Err(ValueFault::Nul),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_identifiers_are_names() {
        for name in ["API_KEY", "_", "a", "GITHUB_TOKEN", "NPM_TOKEN", "ENVIRONMENT", "HOME_URL", "LDAP_PASSWORD", "k2"]
        {
            assert_eq!(SecretName::parse(name).map(|name| name.0), Ok(name.to_owned()));
        }
        assert!(SecretName::parse(&"A".repeat(MAX_NAME_BYTES)).is_ok());
        let long = SecretName::parse(&"A".repeat(MAX_NAME_BYTES + 1)).unwrap_err();
        assert!(long.to_string().contains("129 bytes"), "{long}");
    }

    #[test]
    fn what_is_no_identifier_is_no_name() {
        for name in ["", "1A", "A-B", "A B", "A=B", "A.B", "Ä", "A\0", "A\n", " A", "A\u{200b}", "__proto__-", "a/b"] {
            let error = SecretName::parse(name).unwrap_err();
            assert!(error.to_string().contains("no environment identifier"), "{name:?}: {error}");
        }
    }

    #[test]
    fn names_that_choose_code_are_reserved_in_any_case() {
        for name in [
            "LD_PRELOAD",
            "LD_AUDIT",
            "ld_library_path",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_EXTRA_CA_CERTS",
            "npm_config_registry",
            "NPM_CONFIG_SCRIPT_SHELL",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PATH",
            "Path",
            "HOME",
            "SHELL",
            "BASH_ENV",
            "BASH_FUNC_ls",
            "ENV",
            "IFS",
            "GCONV_PATH",
            "GLIBC_TUNABLES",
            "OPENSSL_CONF",
            "JAVA_TOOL_OPTIONS",
            "RUBYOPT",
            "PERL5OPT",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
            "DOTNET_STARTUP_HOOKS",
            "UV_INDEX_URL",
            "XDG_CONFIG_HOME",
            "SEALGATE_LOG",
        ] {
            let error = SecretName::parse(name).unwrap_err();
            assert!(error.to_string().contains("is reserved"), "{name}: {error}");
        }
    }

    #[test]
    fn the_table_is_upper_case_and_holds_nothing_twice() {
        for table in [RESERVED, RESERVED_PREFIXES] {
            for (at, name) in table.iter().enumerate() {
                assert_eq!(*name, name.to_ascii_uppercase());
                assert!(!table[..at].contains(name), "{name} twice");
            }
        }
        for name in RESERVED {
            assert!(!RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name} is covered already");
        }
    }

    #[test]
    fn values_have_limits_and_no_nul() {
        let check = |value: String| check_value(&Zeroizing::new(value));
        assert_eq!(check("x".repeat(MAX_VALUE_BYTES)), Ok(()));
        assert_eq!(check("x".repeat(MAX_VALUE_BYTES + 1)), Err(ValueFault::TooLong(MAX_VALUE_BYTES + 1)));
        assert_eq!(check("a\0b".into()), Err(ValueFault::Nul));
        assert_eq!(check(String::new()), Err(ValueFault::Empty));
        assert_eq!(check("two\nlines ä".into()), Ok(()));
    }
}
