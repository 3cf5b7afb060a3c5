//! What a client of `subscriptions/listen` wants to hear of.

use evidence::json::Value;

/// Most resources of one subscription.
pub(crate) const MAX_RESOURCES: usize = 64;

/// Longest address of a resource.
pub(crate) const MAX_URI_BYTES: usize = 2048;

/// What a client wants to hear of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Filter {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    /// Resources of which updates are wanted.
    pub(crate) uris: Vec<String>,
}

impl Filter {
    /// `params` of the request.
    pub(crate) fn read(params: &Value) -> Result<Self, String> {
        let Some(wanted) = params.member("notifications").filter(|wanted| wanted.as_object().is_some()) else {
            return Err("params.notifications is missing or no object: say what you want to hear of, for instance \
                        {\"toolsListChanged\":true}"
                .to_owned());
        };
        let flag = |name: &str| match wanted.member(name) {
            None | Some(Value::Bool(false)) => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(other) => Err(format!("params.notifications.{name} is a boolean, found {}", other.kind())),
        };
        let uris = match wanted.member("resourceSubscriptions") {
            None => Vec::new(),
            Some(Value::Array(uris)) if uris.len() > MAX_RESOURCES => {
                return Err(format!(
                    "resourceSubscriptions names {} resources, the limit is {MAX_RESOURCES}",
                    uris.len()
                ));
            }
            Some(Value::Array(uris)) => uris
                .iter()
                .map(|uri| {
                    let uri = uri.as_str().filter(|uri| uri.len() <= MAX_URI_BYTES);
                    let what = || format!("resourceSubscriptions holds addresses of at most {MAX_URI_BYTES} bytes");
                    uri.map(str::to_owned).ok_or_else(what)
                })
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(format!("resourceSubscriptions is an array, found {}", other.kind())),
        };
        Ok(Self {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
            uris,
        })
    }

    /// As the client is told what of it is granted, and as a server is asked.
    pub(crate) fn to_value(&self) -> Value {
        let mut members = Vec::new();
        for (name, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                members.push((name.into(), true.into()));
            }
        }
        if !self.uris.is_empty() {
            let uris = self.uris.iter().map(|uri| uri.as_str().into()).collect();
            members.push(("resourceSubscriptions".into(), Value::Array(uris)));
        }
        Value::Object(members)
    }

    /// Whether a notification is one of those.
    pub(crate) fn lets_through(&self, method: &str, params: Option<&Value>) -> bool {
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            "notifications/resources/updated" => {
                let uri = params.and_then(|params| params.member("uri")).and_then(Value::as_str);
                uri.is_some_and(|uri| self.uris.iter().any(|wanted| covers(wanted, uri)))
            }
            _ => false,
        }
    }
}

/// Whether an update of `uri` is one of what was subscribed to: the resource, or one below it.
fn covers(wanted: &str, uri: &str) -> bool {
    uri.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || wanted.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, object, parse};

    use super::*;

    fn filter(text: &str) -> Result<Filter, String> {
        Filter::read(&parse(text.as_bytes(), &Limits::THEIRS).unwrap())
    }

    #[test]
    fn a_client_hears_of_what_it_asked_for_and_of_nothing_else() {
        let wanted = filter(
            r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["test://a"]}}"#,
        )
        .unwrap();
        assert!(wanted.lets_through("notifications/tools/list_changed", None));
        assert!(!wanted.lets_through("notifications/prompts/list_changed", None));
        assert!(!wanted.lets_through("notifications/message", None));
        let updated =
            |uri: &str| wanted.lets_through("notifications/resources/updated", Some(&object([("uri", uri.into())])));
        assert!(updated("test://a") && updated("test://a/b") && !updated("test://ab") && !updated("test://b"));
        assert_eq!(wanted.to_value().to_text(), r#"{"toolsListChanged":true,"resourceSubscriptions":["test://a"]}"#);
    }

    #[test]
    fn a_filter_that_cannot_be_one_is_told_so() {
        let many = vec![r#""a""#; MAX_RESOURCES + 1].join(",");
        let long = "u".repeat(MAX_URI_BYTES + 1);
        for bad in [
            "{}".to_owned(),
            r#"{"notifications":[]}"#.into(),
            r#"{"notifications":{"toolsListChanged":1}}"#.into(),
            r#"{"notifications":{"resourceSubscriptions":"a"}}"#.into(),
            r#"{"notifications":{"resourceSubscriptions":[1]}}"#.into(),
            format!(r#"{{"notifications":{{"resourceSubscriptions":[{many}]}}}}"#),
            format!(r#"{{"notifications":{{"resourceSubscriptions":["{long}"]}}}}"#),
        ] {
            assert!(filter(&bad).is_err(), "{bad}");
        }
        let most = vec![r#""a""#; MAX_RESOURCES].join(",");
        assert!(filter(&format!(r#"{{"notifications":{{"resourceSubscriptions":[{most}]}}}}"#)).is_ok());
    }
}
