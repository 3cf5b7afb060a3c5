//! What `GET /api/servers` is asked for: words, filters, a page. What cannot be meant is refused, never guessed.

use axum::http::StatusCode;

use super::{problem::Problem, query::Query};
use crate::catalogue::{STATUSES, Server};

/// Most servers of one page, as clients of this ecosystem ask for.
const MAX_PAGE: usize = 5000;

/// Servers of a page that says nothing of its length.
const PAGE: usize = 100;

/// Longest word of a registry or a deployment.
const MAX_WORD_BYTES: usize = 64;

/// Parameters that are known.
const KNOWN: [&str; 9] =
    ["q", "search", "category", "registry", "deploymentType", "gatewayCompatible", "status", "limit", "offset"];

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Words to look for. Empty: every server.
    pub(crate) words: &'a str,
    /// One of a server's categories.
    pub(crate) category: Option<&'a str>,
    /// What a server is held against by itself.
    pub(crate) filters: Filters<'a>,
    /// Most servers to show.
    pub(crate) limit: usize,
    /// Servers to leave out at the front.
    pub(crate) offset: usize,
}

/// What a server must be.
#[derive(Debug)]
pub(crate) struct Filters<'a> {
    registry: Option<&'a str>,
    deployment: Option<&'a str>,
    compatible: Option<bool>,
    status: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`Problem`]: 400, naming the parameter and what it takes.
    pub(crate) fn of(query: &'a Query) -> Result<Self, Problem> {
        query.only(&KNOWN)?;
        Ok(Self {
            words: words(query)?,
            category: query.get("category"),
            filters: Filters {
                registry: word(query, "registry")?,
                deployment: word(query, "deploymentType")?,
                compatible: query.get("gatewayCompatible").map(boolean).transpose()?,
                status: query.get("status").map(status).transpose()?,
            },
            limit: number(query, "limit", PAGE, 1, MAX_PAGE)?,
            offset: number(query, "offset", 0, 0, usize::MAX)?,
        })
    }
}

impl Filters<'_> {
    /// Whether nothing is asked of servers.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { registry, deployment, compatible, status } = self;
        registry.is_none() && deployment.is_none() && compatible.is_none() && status.is_none()
    }

    /// Whether this server is what was asked for.
    pub(crate) fn admit(&self, server: &Server) -> bool {
        self.registry.is_none_or(|wanted| wanted.eq_ignore_ascii_case(server.registry_type()))
            && self.deployment.is_none_or(|wanted| wanted.eq_ignore_ascii_case(server.deployment_type()))
            && self.compatible.is_none_or(|wanted| wanted == server.ready.is_ok())
            && self.status.is_none_or(|wanted| wanted == server.status())
    }
}

fn bad(what: String, fix: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, fix)
}

/// A value as an error shows it.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}

/// `q`, which clients send, and `search`, which the documents of this ecosystem name.
fn words(query: &Query) -> Result<&str, Problem> {
    match (query.get("q"), query.get("search")) {
        (Some(q), Some(search)) if q != search => {
            let what = format!("q={} and search={} mean the same and differ", shown(q), shown(search));
            Err(bad(what, "send one of them"))
        }
        (q, search) => Ok(q.or(search).unwrap_or_default()),
    }
}

/// A word of the kind that registries and deployments are called by; one that no server has finds none.
fn word<'a>(query: &'a Query, name: &str) -> Result<Option<&'a str>, Problem> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if text.is_empty() || text.len() > MAX_WORD_BYTES || !text.bytes().all(fits) {
        let what = format!("{name}={} is no word of 1 to {MAX_WORD_BYTES} letters, digits, _ - .", shown(text));
        return Err(bad(what, format!("send {name} as lists show it, for instance npm or local_tool")));
    }
    Ok(Some(text))
}

fn boolean(text: &str) -> Result<bool, Problem> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => {
            Err(bad(format!("gatewayCompatible={} is neither true nor false", shown(other)), "send true or false"))
        }
    }
}

fn status(text: &str) -> Result<&str, Problem> {
    if STATUSES.contains(&text) {
        return Ok(text);
    }
    Err(bad(format!("status={} is unknown", shown(text)), format!("send one of {}", STATUSES.join(", "))))
}

fn number(query: &Query, name: &str, default: usize, least: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = query.get(name) else { return Ok(default) };
    // Digits alone: `+5` is what "5" with a stray blank in front of it decodes to.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<usize>().ok().filter(|number| digits && (least..=most).contains(number));
    number.ok_or_else(|| {
        let range = if most == usize::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
        bad(format!("{name}={} is not an integer of {range}", shown(text)), format!("send {name} of {range}"))
    })
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn asked(query: &str) -> Result<(String, usize, usize, bool), StatusCode> {
        let query = Query::of(query).map_err(|problem| problem.into_response().status())?;
        let asked = Asked::of(&query).map_err(|problem| problem.into_response().status())?;
        Ok((asked.words.to_owned(), asked.limit, asked.offset, asked.filters.is_empty()))
    }

    #[test]
    fn a_page_has_defaults_limits_and_two_names_for_its_words() {
        assert_eq!(asked(""), Ok((String::new(), 100, 0, true)));
        assert_eq!(asked("q=a&search=a&limit=5000&offset=7"), Ok(("a".to_owned(), 5000, 7, true)));
        assert_eq!(asked("search=b&status=ready&limit=1"), Ok(("b".to_owned(), 1, 0, false)));
        assert!(!asked("registry=pypi&deploymentType=remote&gatewayCompatible=true").unwrap().3);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let long = format!("registry={}", "a".repeat(MAX_WORD_BYTES + 1));
        for wrong in [
            "q=a&search=b",
            "q=&search=b",
            "limit=0",
            "limit=5001",
            "limit=-1",
            "limit=%2B5",
            "limit=",
            "limit=1.0",
            "offset=-1",
            "offset=99999999999999999999",
            "status=active",
            "status=",
            "gatewayCompatible=yes",
            "registry=",
            "registry=n%20pm",
            "deploymentType=a/b",
            "limits=5",
            &long,
        ] {
            assert_eq!(asked(wrong), Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
        assert!(asked(&long.replacen('a', "", 1)).is_ok(), "one shorter");
    }
}
