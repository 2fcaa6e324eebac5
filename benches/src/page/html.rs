//! Text into HTML.
//!
//! Invariant: whatever comes from outside this module goes through [`escape`]. The pages are also
//! well-formed XML, which is how the tests read them. Called by the module and its charts.

use std::borrow::Cow;
use std::fmt::Write;

/// As text or as a quoted attribute. Characters that no page may have become U+FFFD.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let is_special = |letter: char| {
        matches!(letter, '&' | '<' | '>' | '"' | '\'') || (letter.is_control() && letter != '\n')
    };
    if !text.contains(is_special) && !text.contains(['\u{fffe}', '\u{ffff}']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push('\n'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// A table that scrolls by itself when it is wider than the page. The first column names the row, the
/// others are numbers. Cells are HTML.
pub(super) fn table(caption: &str, header: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::from("<div class=\"scroll\"><table>");
    if !caption.is_empty() {
        let _ = write!(text, "<caption>{}</caption>", escape(caption));
    }
    if !header.is_empty() {
        text.push_str("<thead><tr>");
        for cell in header {
            let _ = write!(text, "<th scope=\"col\">{cell}</th>");
        }
        text.push_str("</tr></thead>");
    }
    text.push_str("<tbody>");
    for row in rows {
        text.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            match column {
                0 => {
                    let _ = write!(text, "<th scope=\"row\">{cell}</th>");
                }
                _ => {
                    let _ = write!(text, "<td>{cell}</td>");
                }
            }
        }
        text.push_str("</tr>");
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// Names and texts, both escaped here, as a two-column list.
pub(super) fn facts(facts: &[(String, String)]) -> String {
    let mut text = String::from("<dl>");
    for (name, value) in facts {
        let _ = write!(text, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    text.push_str("</dl>\n");
    text
}

/// What a reader must not miss.
pub(super) fn warning(words: &str) -> String {
    format!("<p class=\"warning\">{}</p>\n", escape(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        let bad = "<script src=\"x\">'&\u{0}\u{ffff}\n";
        let escaped = escape(bad);
        assert_eq!(
            escaped,
            "&lt;script src=&quot;x&quot;&gt;&#39;&amp;\u{fffd}\u{fffd}\n"
        );
        assert!(matches!(escape("plain µs"), Cow::Borrowed("plain µs")));
    }
}
