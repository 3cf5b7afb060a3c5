//! What is known of a server, as text.

/// One server as it is searched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Document {
    /// Its id; a whole query that is one finds it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name for people; may be the same.
    pub title: String,
    /// What stands before its tools' names.
    pub slug: String,
    /// The package it is made of.
    pub package: String,
    /// What it does, in its own words.
    pub description: String,
    /// What it is filed under.
    pub categories: Vec<String>,
    /// Its tools.
    pub tools: Vec<ToolText>,
}

/// One tool of a server as it is searched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ToolText {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
}

/// Longest text of which a vector is made, 6,000 bytes: some 1,500 tokens, which every embedding model takes.
pub const MAX_TEXT_BYTES: usize = 6000;

impl Document {
    /// What an embedder gets: everything that says what the server does, up to [`MAX_TEXT_BYTES`]. No ids, for they mean
    /// nothing.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}", self.title, self.description, self.categories.join(", "));
        for tool in &self.tools {
            text.push('\n');
            text.push_str(&tool.name);
            text.push_str(": ");
            text.push_str(&tool.description);
        }
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let tools = vec![ToolText { name: "x".into(), description: "é".repeat(MAX_TEXT_BYTES) }];
        let text = Document { title: "title".into(), tools, ..Document::default() }.text();
        assert!(text.len() <= MAX_TEXT_BYTES && text.len() > MAX_TEXT_BYTES - 4);
        assert!(text.starts_with("title\n") && text.ends_with('é'));
    }
}
