//! From the text of bindgen to the file that is checked in: rustfmt, doc comments, blank lines.
//!
//! Invariant: nothing but layout changes; the tokens are those that bindgen gave.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const FIRST_LINE: &str =
    "// Generated from include/llam/runtime.h by `cargo xtask bindings`; do not edit.\n\n";

/// The widest line of a doc comment.
const WIDTH: usize = 100;

/// The checked-in form of generated text.
pub(crate) fn checked_in(raw: &str, rustfmt_toml: &Path) -> Result<String, String> {
    let formatted = rustfmt(raw, rustfmt_toml)?;
    Ok(FIRST_LINE.to_owned() + &with_doc_comments(&formatted)?)
}

/// Source as rustfmt leaves it.
fn rustfmt(source: &str, config: &Path) -> Result<String, String> {
    const REMEDY: &str = "install it with `rustup component add rustfmt`";
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run `rustfmt` ({error}): {REMEDY}"))?;
    let mut input = child.stdin.take().ok_or("rustfmt has no standard input")?;
    let text = source.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child
        .wait_with_output()
        .map_err(|error| format!("cannot read from `rustfmt`: {error}"))?;
    let fed = feeder.join().map_err(|_| "the feeder panicked")?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!("rustfmt rejects the generated text: {messages}"));
    }
    fed.map_err(|error| format!("cannot write to `rustfmt`: {error}"))?;
    String::from_utf8(output.stdout).map_err(|_| "rustfmt wrote no UTF-8".to_owned())
}

/// `#[doc = "..."]` becomes `/// ...`, filled to the width, and every item gets a blank line before it.
fn with_doc_comments(source: &str) -> Result<String, String> {
    let mut result = String::with_capacity(source.len());
    let mut last = "{";
    for line in source.lines() {
        let text = line.trim_start();
        let ends_item = last.ends_with(';') || last.ends_with('}');
        let starts_item = ["#[", "pub ", "unsafe extern"]
            .iter()
            .any(|start| text.starts_with(start));
        if starts_item && ends_item && !last.starts_with("#[") {
            result.push('\n');
        }
        let indent = &line[..line.len() - text.len()];
        match text
            .strip_prefix("#[doc = ")
            .and_then(|t| t.strip_suffix(']'))
        {
            Some(literal) => {
                let literal: syn::LitStr = syn::parse_str(literal)
                    .map_err(|error| format!("cannot read the comment {literal}: {error}"))?;
                fill(&mut result, indent, &literal.value());
            }
            None => {
                result += line;
                result.push('\n');
            }
        }
        last = text;
    }
    Ok(result)
}

/// Appends a comment, paragraph by paragraph.
fn fill(result: &mut String, indent: &str, comment: &str) {
    for (index, paragraph) in comment.split("\n\n").enumerate() {
        if index > 0 {
            *result += &format!("{indent}///\n");
        }
        let mut line = format!("{indent}///");
        for word in words(paragraph) {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && !line.ends_with("///") {
                *result += &line;
                result.push('\n');
                line = format!("{indent}///");
            }
            line.push(' ');
            line += word;
        }
        *result += &line;
        result.push('\n');
    }
}

/// The words of a paragraph; code in backticks is one word.
fn words(paragraph: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_code = false;
    for (at, c) in paragraph.char_indices() {
        if c == '`' {
            in_code = !in_code;
        }
        if c.is_whitespace() && !in_code {
            words.push(&paragraph[start..at]);
            start = at + c.len_utf8();
        }
    }
    words.push(&paragraph[start..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_attributes_become_comments_and_items_get_room() {
        let source = "\
#[doc = \"One \\\"thing\\\".\"]
pub const A: u32 = 1;
pub struct S {
    #[doc = \"First.\\nStill first.\"]
    pub a: u32,
    #[doc = \"Second.\"]
    pub b: u32,
}
#[allow(x)]
const _: () = ();
";
        let expected = "\
/// One \"thing\".
pub const A: u32 = 1;

pub struct S {
    /// First. Still first.
    pub a: u32,
    /// Second.
    pub b: u32,
}

#[allow(x)]
const _: () = ();
";
        assert_eq!(with_doc_comments(source).as_deref(), Ok(expected));
    }

    #[test]
    fn long_comments_are_filled_and_code_is_not_broken() {
        let mut result = String::new();
        let comment = format!("{} `sizeof(void *)` end", "word ".repeat(18).trim_end());
        fill(&mut result, "    ", &comment);
        let lines: Vec<&str> = result.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
        assert_eq!(lines[1], "    /// `sizeof(void *)` end");
    }
}
