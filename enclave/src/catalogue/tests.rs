use evidence::json::object;

use super::*;
use crate::config::{PackageRegistry, ServerEntry};

fn server(name: &str, package: &str) -> Server {
    let entry = ServerEntry {
        id: format!("0193e3a2-6b5c-5f7d-9c1e-{:012x}", name.len() * 31 + package.len()).parse().unwrap(),
        name: name.into(),
        description: "reads and writes files".into(),
        categories: vec!["files".into()],
        registry: PackageRegistry::Npm,
        package: package.into(),
        version: "1.0.0".into(),
        path: None,
        bin: None,
        args: Vec::new(),
        scratch_dirs: Vec::new(),
        price: None,
        tool_prices: std::collections::BTreeMap::new(),
        secrets: Vec::new(),
    };
    Server::new(entry, Err("not installed".into()))
}

fn catalogue() -> Catalogue {
    Catalogue::new(
        vec![server("everything", "@a/everything"), server("@b/file.system", "@b/fs")],
        UsdcAmount::default(),
    )
    .unwrap()
}

#[test]
fn a_server_is_found_by_id_name_slug_and_package() {
    let catalogue = catalogue();
    let id = catalogue.servers()[1].entry.id.to_string();
    for asked in ["@b/file.system", "b-file-system", "@B/FS", &id] {
        assert_eq!(catalogue.find(asked).unwrap().entry.package, "@b/fs", "{asked}");
    }
}

#[test]
fn a_slip_is_answered_with_the_name_that_was_meant() {
    let refusal = catalogue().find("evrything").unwrap_err();
    assert!(refusal.to_string().contains("not found"));
    assert!(refusal.remedy().text.contains("everything"));
    let refusal = catalogue().find("weather").unwrap_err();
    assert!(!refusal.remedy().text.contains("did you mean"));
    let refusal = catalogue().find_prefixed("everythign__echo").unwrap_err();
    assert!(refusal.remedy().text.contains("everything"));
}

#[test]
fn a_long_name_is_found_and_what_is_longer_still_is_answered_like_any_slip() {
    let long = format!("{}k", "n".repeat(80));
    let catalogue = Catalogue::new(vec![server(&long, "@a/long")], UsdcAmount::default()).unwrap();
    for asked in [long.clone(), long.to_uppercase(), format!(" {} ", long.replace('k', "\u{212a}"))] {
        assert!(catalogue.find(&asked).is_ok(), "{asked}");
    }
    for more in [1, 1 << 20] {
        let asked = format!("{long}{}", "x".repeat(more));
        let Err(Refusal::UnknownServer { asked, closest }) = catalogue.find(&asked) else { panic!("{more}") };
        assert_eq!((asked.len(), closest.as_deref()), (128.min(long.len() + more), Some(long.as_str())));
    }
}

#[test]
fn a_long_catalogue_has_a_digest_and_each_server_changes_it() {
    let server = || server("everything", &"p".repeat(214));
    let of = |count: usize| Catalogue::new((0..count).map(|_| server()).collect(), UsdcAmount::default());
    let (long, longer) = (of(1000).unwrap(), of(1001).unwrap());
    assert_ne!(long.digest(), longer.digest());
}

#[test]
fn a_search_finds_the_best_first_and_says_how_many_there_are() {
    let catalogue = catalogue();
    let names = |query: &str, category| {
        let found = catalogue.search(query, category);
        found.into_iter().map(|server| server.entry.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(names("", None), ["everything", "@b/file.system"], "all, as the operator put them");
    assert_eq!(names("everything file", None), ["everything", "@b/file.system"]);
    assert!(names("weather", None).is_empty() && names("", Some("weather")).is_empty());
    assert_eq!(names(" ", Some("FILES")), ["everything", "@b/file.system"]);
    let page = catalogue.page("", None, 1, 1);
    assert_eq!((page.total, page.servers.len(), page.servers[0].entry.name.as_str()), (2, 1, "@b/file.system"));
    let page = catalogue.page("reads", Some("FILES"), 1, 1);
    assert_eq!((page.total, page.servers.len(), page.servers[0].entry.name.as_str()), (2, 1, "everything"));
}

#[test]
fn a_word_that_means_several_servers_is_no_guess() {
    let catalogue = Catalogue::new(
        vec![server("a.fs", "@one/fs"), server("@a/fs", "@two/fs"), server("b", "@two/fs")],
        UsdcAmount::default(),
    )
    .unwrap();
    let prefixes: Vec<&str> = catalogue.servers().iter().map(Server::prefix).collect();
    for asked in ["a-fs", "@two/fs"] {
        let refusal = catalogue.find(asked).unwrap_err();
        assert_eq!(refusal.code(), "AMBIGUOUS_SERVER", "{asked}");
        assert!(refusal.remedy().text.contains(prefixes[1]), "{}", refusal.remedy().text);
    }
    for (at, asked) in [(0, "a.fs"), (1, "@A/fs"), (0, prefixes[0]), (1, prefixes[1]), (0, "@one/fs")] {
        assert_eq!(catalogue.find(asked).unwrap().prefix(), prefixes[at], "{asked}");
    }
    assert!(catalogue.find_prefixed("a-fs__read").is_err(), "nor before a tool");
    assert_eq!(catalogue.find_prefixed(&format!("{}__read", prefixes[1])).unwrap().0.prefix(), prefixes[1]);
}

#[test]
fn names_of_tools_fit_and_lead_back_to_their_tools() {
    let name = "a-server-whose-name-is-as-long-as-names-may-be";
    let long: Vec<String> = (0..50).map(|n| format!("a_tool.whose-name-says-everything-that-it-does__{n}")).collect();
    let tools: Vec<Tool> = long
        .iter()
        .map(String::as_str)
        .chain(["echo", "with__two"])
        .map(|name| Tool {
            name: name.to_owned(),
            definition: object([("title", "T".into()), ("name", name.into()), ("x", Value::Null)]),
        })
        .collect();
    let shown = Shown::of(naming::prefixes(&[(name, &server(name, "p").entry.id)]).remove(0), &tools);
    for (tool, listed) in tools.iter().zip(&shown.tools) {
        let listed_name = listed.member("name").and_then(Value::as_str).unwrap();
        assert!(listed_name.len() <= naming::MAX_NAME, "{listed_name}");
        let (prefix, rest) = listed_name.split_once("__").unwrap();
        assert_eq!(prefix, shown.prefix);
        assert_eq!(tools[shown.by_name[rest]].name, tool.name, "{listed_name}");
        assert_eq!(tools[shown.by_name[&tool.name]].name, tool.name);
        let members: Vec<&str> = listed.as_object().unwrap().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(members, ["title", "name", "x"], "the rest is as the server wrote it");
    }
}
