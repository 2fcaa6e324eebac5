//! Two versions of the bindings, item by item.
//!
//! Relies on the blank lines that `format` puts between items.

use std::collections::BTreeMap;

/// One line per item that the checked-in text lacks, has in excess, or has in another form.
pub(crate) fn differences(checked_in: &str, fresh: &str) -> Vec<String> {
    if checked_in == fresh {
        return Vec::new();
    }
    let (old, new) = (items(checked_in), items(fresh));
    let mut lines = Vec::new();
    for (name, text) in &new {
        match old.get(name) {
            Some(same) if same == text => {}
            Some(_) => lines.push(format!("{name}: the bindings differ from the header")),
            None => lines.push(format!("{name}: in the header, not in the bindings")),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        lines.push(format!("{name}: in the bindings, not in the header"));
    }
    if lines.is_empty() {
        lines.push("the bindings: the order or the layout of the items differs".to_owned());
    }
    if let Some(last) = lines.last_mut() {
        *last += " (`cargo xtask bindings` writes them anew)";
    }
    lines
}

/// The items by name; blocks of the same name are one.
fn items(text: &str) -> BTreeMap<String, String> {
    let mut items = BTreeMap::<String, String>::new();
    for block in text.split("\n\n").map(str::trim) {
        if !block.is_empty() {
            *items.entry(name(block)).or_default() += block;
        }
    }
    items
}

/// What a block is about: `` `llam_run` `` or `layout of llam_spawn_opts_t`, else its first line.
fn name(block: &str) -> String {
    for line in block.lines().map(str::trim) {
        if let Some(measured) = line.strip_prefix("[\"Size of ") {
            let measured = measured.split('"').next().unwrap_or_default();
            return format!("layout of `{measured}`");
        }
        for keyword in ["pub fn ", "pub const ", "pub struct ", "pub type "] {
            if let Some(rest) = line.strip_prefix(keyword) {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                return format!("`{}`", &rest[..end.unwrap_or(rest.len())]);
            }
        }
    }
    let first = block.lines().next().unwrap_or_default();
    format!("the lines from `{first}` on")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
// Head.

/// One.
pub const LLAM_ONE: u32 = 1;

unsafe extern \"C\" {
    /// Runs.
    pub fn llam_run() -> c_int;

    pub fn llam_yield();
}
";

    #[test]
    fn equal_texts_have_no_differences() {
        assert_eq!(differences(TEXT, TEXT), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_difference_has_its_line() {
        let fresh = TEXT
            .replace("= 1", "= 2")
            .replace("llam_yield", "llam_task_safepoint");
        assert_eq!(
            differences(TEXT, &fresh),
            [
                "`LLAM_ONE`: the bindings differ from the header",
                "`llam_task_safepoint`: in the header, not in the bindings",
                "`llam_yield`: in the bindings, not in the header \
                 (`cargo xtask bindings` writes them anew)",
            ]
        );
    }

    #[test]
    fn layout_alone_is_a_difference_too() {
        let lines = differences(TEXT, &TEXT.replace("// Head.\n\n", "// Head.\n\n\n"));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("layout of the items"), "{lines:?}");
    }
}
