//! What one server offers, as it said itself when it was installed, and what an endpoint may say of it.

use evidence::json::{self, Limits, Value, object};
use sandbox::Inspection;
use serde_json::value::RawValue;

use super::era::Era;
use crate::errand::Spoken;

/// Capabilities and lists of one server.
#[derive(Clone, Debug)]
pub(crate) struct Offers {
    /// Its era.
    pub(crate) spoken: Spoken,
    /// What it declares, an object.
    capabilities: Value,
    instructions: Option<String>,
    tools: Option<Value>,
    prompts: Option<Value>,
    resources: Option<Value>,
    templates: Option<Value>,
}

/// A list that servers give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum List {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl List {
    /// The list that a method asks for.
    pub(crate) fn of(method: &str) -> Option<Self> {
        match method {
            "tools/list" => Some(Self::Tools),
            "prompts/list" => Some(Self::Prompts),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            _ => None,
        }
    }

    /// Its method.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the result that holds it.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The capability that it belongs to.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }

    /// The method whose announcement of a change speaks of it.
    pub(crate) fn announced_as(self) -> &'static str {
        match self {
            Self::Templates => Self::Resources.method(),
            other => other.method(),
        }
    }
}

impl Offers {
    /// What an inspection found.
    ///
    /// # Errors
    /// The server said something that is no JSON of ours.
    pub(crate) fn of(inspection: &Inspection) -> Result<Self, String> {
        let spoken = match inspection.era {
            sandbox::stdio::ServerEra::Modern => Spoken::Modern,
            sandbox::stdio::ServerEra::Legacy { .. } => Spoken::Legacy,
        };
        let Inspection { greeting, tools, prompts, resources, resource_templates, .. } = inspection;
        let lists = [tools, prompts, resources, resource_templates].map(|list| list.as_deref());
        Self::read(spoken, greeting, lists)
    }

    /// `lists`: tools, prompts, resources, templates.
    fn read(spoken: Spoken, greeting: &RawValue, lists: [Option<&RawValue>; 4]) -> Result<Self, String> {
        let read = |what: &str, raw: &RawValue| {
            json::parse(raw.get().as_bytes(), &Limits::THEIRS).map_err(|error| format!("its {what}: {error}"))
        };
        let list = |list: List, raw: Option<&RawValue>| raw.map(|raw| read(list.method(), raw)).transpose();
        let greeting = read("greeting", greeting)?;
        let [tools, prompts, resources, templates] = lists;
        Ok(Self {
            spoken,
            capabilities: greeting
                .member("capabilities")
                .filter(|found| found.as_object().is_some())
                .cloned()
                .unwrap_or_else(|| object([])),
            instructions: greeting.member("instructions").and_then(Value::as_str).map(str::to_owned),
            tools: list(List::Tools, tools)?,
            prompts: list(List::Prompts, prompts)?,
            resources: list(List::Resources, resources)?,
            templates: list(List::Templates, templates)?,
        })
    }

    /// Whether it declares this.
    pub(crate) fn has(&self, capability: &str) -> bool {
        self.capabilities.member(capability).is_some()
    }

    /// Whether it declares this of a capability: `listChanged`, `subscribe`.
    pub(crate) fn says(&self, capability: &str, member: &str) -> bool {
        self.capabilities.member(capability).and_then(|found| found.member(member)) == Some(&Value::Bool(true))
    }

    /// Whether it declares an extension.
    pub(crate) fn has_extension(&self, name: &str) -> bool {
        self.capabilities.member("extensions").and_then(|found| found.member(name)).is_some()
    }

    /// What it tells models about itself.
    pub(crate) fn instructions(&self) -> Option<&str> {
        self.instructions.as_deref()
    }

    /// The result of a list's method, as the server gave it. Empty where the server does not know the method although it
    /// declares the capability; `None` where it does not.
    pub(crate) fn list(&self, list: List) -> Option<Value> {
        let kept = match list {
            List::Tools => &self.tools,
            List::Prompts => &self.prompts,
            List::Resources => &self.resources,
            List::Templates => &self.templates,
        };
        let declared = self.has(list.capability());
        declared.then(|| kept.clone().unwrap_or_else(|| object([(list.member(), Value::Array(Vec::new()))])))
    }

    /// The items of a list.
    pub(crate) fn items(&self, list: List) -> Vec<Value> {
        match self.list(list) {
            Some(Value::Object(members)) => members
                .into_iter()
                .find_map(|(name, value)| match value {
                    Value::Array(items) if name == list.member() => Some(items),
                    _ => None,
                })
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The capabilities that its own endpoint declares to a client of this era: the server's, without what the client's
    /// revision does not have.
    pub(crate) fn capabilities(&self, era: Era) -> Value {
        let Value::Object(mut members) = self.capabilities.clone() else { return object([]) };
        if era == Era::Modern {
            // Tasks of 2025-11-25 are another protocol than the extension of the same name.
            members.retain(|(name, _)| name != "tasks");
        }
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_server_is_described_as_it_describes_itself() {
        let greeting =
            raw(r#"{"capabilities":{"tools":{"listChanged":true},"resources":{},"tasks":{},"x":{"n":1.0}}}"#);
        let (tools, resources) = (raw(r#"{"tools":[{"name":"a"}],"later":1.0}"#), raw(r#"{"resources":[]}"#));
        let lists = [Some(&*tools), None, Some(&*resources), None];
        let offers = Offers::read(Spoken::Modern, &greeting, lists).unwrap();
        assert!(offers.has("tools") && !offers.has("prompts") && offers.says("tools", "listChanged"));
        assert!(!offers.says("resources", "subscribe"));
        assert_eq!(offers.list(List::Tools).unwrap().to_text(), r#"{"tools":[{"name":"a"}],"later":1.0}"#);
        assert_eq!(offers.list(List::Templates).unwrap().to_text(), r#"{"resourceTemplates":[]}"#);
        assert_eq!(offers.list(List::Prompts), None);
        assert_eq!(offers.items(List::Tools).len(), 1);
        let modern = offers.capabilities(Era::Modern).to_text();
        assert_eq!(modern, r#"{"tools":{"listChanged":true},"resources":{},"x":{"n":1.0}}"#);
        assert!(offers.capabilities(Era::Legacy).member("tasks").is_some());
    }
}
