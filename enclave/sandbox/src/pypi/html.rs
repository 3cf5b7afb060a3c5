//! Links of an HTML page, as far as PEP 503 needs them.

/// An `a` element.
pub(super) struct Anchor<'a> {
    attributes: Vec<(&'a str, String)>,
    /// Its text, without what entities stand for.
    pub(super) text: String,
}

impl Anchor<'_> {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The links of a page, in their order. What is no HTML has none.
pub(super) fn anchors(page: &str) -> impl Iterator<Item = Anchor<'_>> {
    let mut rest = page;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('<')?;
            rest = after;
            if let Some(comment) = rest.strip_prefix("!--") {
                rest = comment.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let Some(inside) =
                rest.strip_prefix(['a', 'A']).filter(|it| it.starts_with(|c: char| c.is_ascii_whitespace()))
            else {
                continue;
            };
            let (attributes, after) = attributes(inside)?;
            let (text, after) = after.split_once('<')?;
            rest = after;
            return Some(Anchor { attributes, text: unescaped(text) });
        }
    })
}

/// Attributes up to the end of the tag, and what follows it.
fn attributes(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut read = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return Some((read, after));
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/'))?;
        let (name, after) = rest.split_at_checked(end.max(1))?;
        rest = after.trim_start();
        let mut value = "";
        if let Some(given) = rest.strip_prefix('=') {
            let given = given.trim_start();
            (value, rest) = match given.chars().next()? {
                quote @ ('"' | '\'') => given.get(1..)?.split_once(quote)?,
                _ => given.split_at_checked(given.find(|c: char| c.is_ascii_whitespace() || c == '>')?)?,
            };
        }
        read.push((name, unescaped(value)));
    }
}

/// The entities that writers of indexes use; any other stays as it is.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let entity = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        (rest, _) = match entity {
            Some((c, after)) => (after, plain.push(c)),
            None => (after, plain.push('&')),
        };
    }
    plain + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_with_quotes_of_either_kind_and_entities() {
        let page = "<base target=x><A HREF='u?a=1&amp;b=2'\n data-requires-python=\"&gt;=3.9, &#60;4\" hidden>f &#x26; g</A><abbr>no</abbr><a href=plain>x</a>";
        let read: Vec<_> = anchors(page).collect();
        let [first, second] = read.as_slice() else { panic!("{} links", read.len()) };
        assert_eq!((first.attribute("href"), first.text.as_str()), (Some("u?a=1&b=2"), "f & g"));
        assert_eq!((first.attribute("data-requires-python"), first.attribute("hidden")), (Some(">=3.9, <4"), Some("")));
        assert_eq!((second.attribute("href"), second.attribute("data-yanked")), (Some("plain"), None));
    }
}
