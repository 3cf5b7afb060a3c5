//! What a server offers beside what it offered when it was installed: in a caller's own container, and after a reload.

use std::sync::Arc;

use evidence::{ServerId, json::Value};
use gate::{Call, Listed, ListedServer, Listing, Refusal};

use super::{Catalogue, Server, naming};
use crate::{mcp::offers::List, runner::is_tool_name};

/// The catalogue as one call sees it: with the tools of its caller's own container, where they are others than at install.
/// What they cost is what the catalogue says of tools that it does not name.
pub(crate) struct Offering<'a> {
    /// The catalogue.
    pub(crate) catalogue: &'a Catalogue,
    /// The tools now of the server that is called; `None`: those of the catalogue.
    pub(crate) tools: Option<Arc<[Value]>>,
}

impl Listing for Offering<'_> {
    fn look_up(&self, call: &Call) -> Result<Listed, Refusal> {
        let Some(tools) = &self.tools else { return self.catalogue.look_up(call) };
        self.catalogue.known(&call.server)?.ready()?;
        let names = tools.iter().filter_map(|tool| tool.member("name")?.as_str()).filter(|name| is_tool_name(name));
        self.catalogue.listed_among(call, names)
    }

    fn look_up_server(&self, id: &ServerId) -> Result<ListedServer, Refusal> {
        self.catalogue.look_up_server(id)
    }
}

impl Server {
    /// A tool's name on `/mcp`, also of one that was not there at install.
    pub(crate) fn prefixed(&self, own: &str) -> String {
        let known =
            self.shown.by_name.get(own).filter(|at| self.tools().get(**at).is_some_and(|tool| tool.name == own));
        let listed = known.and_then(|at| self.listed().get(*at)?.member("name")?.as_str());
        let made = || format!("{}{}{}", self.prefix(), naming::BETWEEN, naming::tools(self.prefix(), &[own]).concat());
        listed.map_or_else(made, str::to_owned)
    }

    /// The own name of the tool among these that is meant by that, or by its name on `/mcp` without the prefix.
    pub(crate) fn named_among(&self, tools: &[Value], asked: &str) -> Option<String> {
        let names = || tools.iter().filter_map(|tool| tool.member("name")?.as_str());
        let whole = format!("{}{}{asked}", self.prefix(), naming::BETWEEN);
        let found = names().find(|name| *name == asked).or_else(|| names().find(|name| self.prefixed(name) == whole));
        found.map(str::to_owned)
    }

    /// Whether this is the same installation as another, which may stand in another catalogue.
    pub(crate) fn is_same_installation(&self, other: &Self) -> bool {
        self.installation == other.installation
    }

    /// Whether a client that sees `was` of a server, and then `is`, sees another list. `None`: the server is not there.
    pub(crate) fn list_differs(list: List, was: Option<&Self>, is: Option<&Self>) -> bool {
        let offering = |server: Option<&'_ Self>| {
            let server = server?;
            let offers = &server.ready.as_ref().ok()?.offers;
            offers.has(list.capability()).then_some(())
        };
        match (offering(was).and(was), offering(is).and(is)) {
            (None, None) => false,
            (Some(was), Some(is)) => !was.is_same_installation(is) && was.shows(list) != is.shows(list),
            _ => true,
        }
    }

    /// All that a list of `/mcp` shows of it, and what stands before the names in it.
    fn shows(&self, list: List) -> (&str, Vec<Value>) {
        let items = |list: List| self.ready.as_ref().map(|ready| ready.offers.items(list)).unwrap_or_default();
        let shown = match list {
            List::Tools => self.listed().to_vec(),
            List::Prompts => items(List::Prompts),
            List::Resources | List::Templates => [items(List::Resources), items(List::Templates)].concat(),
        };
        (self.prefix(), shown)
    }
}
