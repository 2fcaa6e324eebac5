//! The functions of the headers against those of the contract, `docs/abi.md`: names and prototypes.

use std::path::Path;

use super::{compare_names, read};

/// How many functions the contract lists, and how many of them are marked 1.0.
const FUNCTIONS: (usize, usize) = (130, 90);

/// A function as one of the two texts states it; white space in the prototype is one space.
#[derive(Debug, PartialEq, Eq)]
struct Stated {
    name: String,
    prototype: String,
}

/// One line per function that only one side has, that they state differently, or that is counted
/// wrongly.
pub(crate) fn differences(root: &Path) -> Result<Vec<String>, String> {
    let contract = read(&root.join("docs/abi.md"))?;
    let include = root.join("llam-sys/include/llam");
    let headers = read(&include.join("runtime.h"))? + &read(&include.join("io.h"))?;
    compare(&contract, &headers, FUNCTIONS)
}

/// The names of the contract's functions.
pub(crate) fn names(contract: &str) -> Result<Vec<String>, String> {
    Ok(names_of(&contract_functions(contract)?.0))
}

fn names_of(functions: &[Stated]) -> Vec<String> {
    functions.iter().map(|stated| stated.name.clone()).collect()
}

fn compare(contract: &str, headers: &str, counts: (usize, usize)) -> Result<Vec<String>, String> {
    let (contract, since_1_0) = contract_functions(contract)?;
    let headers = header_functions(headers);
    let names = names_of(&contract);
    let mut lines = compare_names(
        ("docs/abi.md", &names),
        ("the headers", &names_of(&headers)),
    );
    for Stated { name, prototype } in &contract {
        let mut declared = headers.iter().filter(|stated| stated.name == *name);
        if let Some(first) = declared
            .next()
            .filter(|first| first.prototype != *prototype)
        {
            let header = &first.prototype;
            lines.push(format!(
                "`{name}`: `{prototype}` in docs/abi.md, `{header}` in the headers"
            ));
        }
        if declared.next().is_some() {
            lines.push(format!("`{name}`: twice in the headers"));
        }
    }
    if (names.len(), since_1_0) != counts {
        let (all, old) = counts;
        lines.push(format!(
            "docs/abi.md lists {} functions, {since_1_0} of them 1.0: expected {all} and {old}",
            names.len()
        ));
    }
    Ok(lines)
}

/// What each heading such as ``#### `llam_run` · 1.0`` is about, with the prototype below it, and how
/// many are marked 1.0.
fn contract_functions(text: &str) -> Result<(Vec<Stated>, usize), String> {
    let mut functions = Vec::new();
    let mut since_1_0 = 0;
    for section in text.split("\n#### `llam_").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        let (name, since) = heading
            .split_once("` · ")
            .filter(|(_, since)| matches!(*since, "1.0" | "2.x"))
            .ok_or_else(|| format!("docs/abi.md: the heading `llam_{heading} names no release"))?;
        let body = body.split("\n#").next().unwrap_or_default();
        let prototype = body
            .split_once("```c\n")
            .and_then(|(_, code)| code.split(';').next())
            .ok_or_else(|| format!("docs/abi.md: `llam_{name}` has no prototype"))?;
        since_1_0 += usize::from(since == "1.0");
        functions.push(Stated {
            name: format!("llam_{name}"),
            prototype: one_line(prototype),
        });
    }
    Ok((functions, since_1_0))
}

/// The functions that headers mark with `LLAM_API`.
fn header_functions(text: &str) -> Vec<Stated> {
    let code = without_comments(text);
    let mut functions = Vec::new();
    for declaration in code.split("LLAM_API ").skip(1) {
        let prototype = declaration.split(';').next().unwrap_or_default();
        let head = prototype.split('(').next().unwrap_or_default();
        let name = head.split([' ', '*', '\n']).next_back().unwrap_or_default();
        if name.starts_with("llam_") {
            functions.push(Stated {
                name: name.to_owned(),
                prototype: one_line(prototype),
            });
        }
    }
    functions
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_comments(text: &str) -> String {
    let mut pieces = text.split("/*");
    let mut code = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        code += piece.split_once("*/").map_or("", |(_, after)| after);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "
# Functions

#### `llam_run` · 1.0

```c
int llam_run(void);
```

#### `llam_writev` · 2.x

```c
ssize_t llam_writev(llam_fd_t fd, const llam_iovec_t *iov,
                    int iovcnt);
```
## Other
";
    const HEADER: &str = "\
#define LLAM_API
/** LLAM_API int llam_comment(void); */
LLAM_API int llam_run(void);
LLAM_API ssize_t llam_writev(llam_fd_t fd,
                             const llam_iovec_t *iov,
                             int iovcnt);
static inline int llam_fd_is_invalid(llam_fd_t fd) { return fd < 0; }
";

    #[test]
    fn texts_that_agree_have_no_differences() {
        assert_eq!(compare(CONTRACT, HEADER, (2, 1)), Ok(Vec::new()));
    }

    #[test]
    fn each_kind_of_difference_has_its_line() {
        for (from, to, expected) in [
            (
                "llam_run",
                "llam_start",
                "`llam_run`: in docs/abi.md, not in",
            ),
            (
                "int iovcnt",
                "size_t iovcnt",
                "`llam_writev`: `ssize_t llam_w",
            ),
            (
                "int llam_run(void)",
                "int llam_run()",
                "`int llam_run()` in the h",
            ),
            (
                "static inline",
                "LLAM_API int llam_run(void);",
                "`llam_run`: twice",
            ),
        ] {
            let lines = compare(CONTRACT, &HEADER.replace(from, to), (2, 1));
            let lines = lines.expect("both are readable");
            assert!(
                lines.iter().any(|line| line.contains(expected)),
                "{from}: {lines:?}"
            );
        }
        let lines = compare(CONTRACT, HEADER, (3, 1)).expect("both are readable");
        assert_eq!(
            lines,
            ["docs/abi.md lists 2 functions, 1 of them 1.0: expected 3 and 1"]
        );
    }

    #[test]
    fn headings_without_release_or_prototype_are_told() {
        for (from, to, expected) in [
            (" · 1.0", "", "names no release"),
            ("```c\nint", "", "no prototype"),
        ] {
            let error = compare(&CONTRACT.replacen(from, to, 1), HEADER, (2, 1));
            let error = error.expect_err("it is not readable");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_contract_and_the_headers_agree() {
        let lines = differences(&super::super::workspace()).expect("both are there");
        assert!(lines.is_empty(), "{lines:#?}");
    }
}
