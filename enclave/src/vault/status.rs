//! Whether a wallet has stored what a server needs.

use evidence::json::{Value, object};

/// A secret that a server takes, as the catalogue says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requirement<'a> {
    /// The variable's name.
    pub(crate) name: &'a str,
    /// Whether the server is of no use without it.
    pub(crate) required: bool,
}

/// What is there and what is not. Names only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Status {
    /// What is stored.
    pub(crate) configured: Vec<String>,
    /// What the server needs.
    pub(crate) required: Vec<String>,
    /// What it can use.
    pub(crate) optional: Vec<String>,
    /// What it needs and is not stored.
    pub(crate) missing: Vec<String>,
}

impl Status {
    /// Compares.
    pub(crate) fn of(configured: Vec<String>, requirements: &[Requirement<'_>]) -> Self {
        let names = |required: bool| {
            let of_kind = requirements.iter().filter(move |requirement| requirement.required == required);
            of_kind.map(|requirement| requirement.name.to_owned()).collect::<Vec<_>>()
        };
        let (required, optional) = (names(true), names(false));
        let missing = required.iter().filter(|name| !configured.contains(name)).cloned().collect();
        Self { configured, required, optional, missing }
    }

    /// Whether nothing is missing.
    pub(crate) fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }

    /// How secrets reach the server: as variables of its environment, never as files; `none` where there are none.
    pub(crate) fn injection_mode(&self) -> &'static str {
        let none = self.configured.is_empty() && self.required.is_empty() && self.optional.is_empty();
        if none { "none" } else { "env" }
    }

    /// `{serverId, configured, required, optional, missing, ready, injectionMode}`
    pub(crate) fn to_value(&self, server: &str) -> Value {
        let list = |names: &[String]| Value::Array(names.iter().map(|name| name.as_str().into()).collect());
        object([
            ("serverId", server.into()),
            ("configured", list(&self.configured)),
            ("required", list(&self.required)),
            ("optional", list(&self.optional)),
            ("missing", list(&self.missing)),
            ("ready", self.is_ready().into()),
            ("injectionMode", self.injection_mode().into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_once_all_it_requires_is_stored() {
        let needs = [
            Requirement { name: "API_KEY", required: true },
            Requirement { name: "SECOND", required: true },
            Requirement { name: "REGION", required: false },
        ];
        let status = Status::of(vec!["API_KEY".into(), "OTHER".into()], &needs);
        assert!(!status.is_ready());
        assert_eq!(
            status.to_value("id").to_text(),
            r#"{"serverId":"id","configured":["API_KEY","OTHER"],"required":["API_KEY","SECOND"],"optional":["REGION"],"missing":["SECOND"],"ready":false,"injectionMode":"env"}"#
        );
        assert!(Status::of(vec!["API_KEY".into(), "SECOND".into()], &needs).is_ready());
        let nothing = Status::of(Vec::new(), &[]);
        assert!(nothing.is_ready());
        assert_eq!(nothing.injection_mode(), "none");
        assert_eq!(Status::of(vec!["A".into()], &[]).injection_mode(), "env");
    }
}
