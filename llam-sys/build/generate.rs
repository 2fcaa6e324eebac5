//! The Rust declarations of a LLAM header: the one bindgen configuration of this workspace.
//!
//! Owns what bindgen is told, and the few corrections of its output: documentation of macros, opaque
//! handles, size macros. Two callers: `cargo xtask bindings` for the checked-in `src/bindings.rs`, and
//! the build script with feature `bindgen` for the header of an installed SDK. That header may be of
//! release 1.x: what it lacks is absent from the result. Invariant: the text compiles as module
//! `bindings` of llam-sys, next to its `types` (and `foreign`, where `libc` has no socket types).

use std::collections::BTreeMap;
use std::fs;
use std::panic;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bindgen::callbacks::{IntKind, ItemInfo, ItemKind, ParseCallbacks, Token, TokenKind};

/// The headers whose macros are documented in the result; those that are missing are passed over.
const HEADERS: [&str; 3] = ["platform.h", "runtime.h", "io.h"];

/// Macros without a place in the bindings: those of the platform, of include guards, of linkage.
const NOT_BOUND: &str = "LLAM_PLATFORM_.*|LLAM_ARCH_.*|LLAM_.*_H|LLAM_IO_DECLS_INCLUDED|\
                         LLAM_API|LLAM_INVALID_FD|LLAM_INVALID_HANDLE";

/// Types that come from `libc`, or are written by hand because they depend on the platform.
const FOREIGN_TYPES: &str = "sockaddr|addrinfo|socklen_t|ssize_t|llam_fd_t|llam_handle_t";

/// Structs that have grown since 1.x. An older header's are left out: the checked-in ones, of which they
/// are a prefix, serve as well, because a library takes and gives as much as it knows (`abi.md` 1.6).
const GROWN_TYPES: &str = "llam_runtime_opts(_t)?|llam_runtime_stats(_t)?";

/// What the declarations need in scope.
const IMPORTS: &str = "\
use core::ffi::{c_char, c_int, c_short, c_void};

#[cfg(unix)]
use libc::{addrinfo, sockaddr, socklen_t};

#[cfg(not(unix))]
use crate::foreign::{addrinfo, sockaddr, socklen_t};
use crate::types::{Opaque, llam_fd_t, llam_handle_t};
";

/// The declarations of `include_dir/llam/runtime.h` and of what it includes, as Rust source.
///
/// The text has one long line per section: a formatter makes it readable. An error is one message:
/// what failed, where, and what helps.
pub(crate) fn generate(include_dir: &Path) -> Result<String, String> {
    let header = include_dir.join("llam").join("runtime.h");
    if !header.is_file() {
        return Err(format!(
            "there is no header `{}`: the include directory of a LLAM SDK has one",
            header.display()
        ));
    }
    require_libclang()?;
    let macros = Arc::new(Mutex::new(SizeMacros::new()));
    let raw = builder(include_dir, &header, &macros)
        .generate()
        .map_err(|error| explain(&header, &error))?
        .to_string();
    let sizes = std::mem::take(&mut *macros.lock().expect("no callback panics"));
    let text = close_handles(&without_anonymous_enums(&shorten(&raw)));
    let text = text + &size_constants(&sizes);
    let documented = document(&text, &comments(include_dir)?);
    Ok(format!("{IMPORTS}\n{documented}"))
}

/// Fails where bindgen would panic: when there is no libclang to load.
fn require_libclang() -> Result<(), String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(bindgen::clang_version);
    panic::set_hook(hook);
    outcome.map(drop).map_err(|payload| {
        let detail = payload
            .downcast_ref::<String>()
            .and_then(|text| text.split(['"']).nth(1)?.split(", set the").next())
            .unwrap_or("it cannot be loaded");
        format!(
            "bindgen finds no libclang ({detail}): install it (Debian: `apt-get install \
             libclang-dev`), or set `LIBCLANG_PATH` to the directory that has it"
        )
    })
}

/// The message for a header that bindgen does not accept.
fn explain(header: &Path, error: &bindgen::BindgenError) -> String {
    let remedy = if error.to_string().contains("file not found") {
        "install the C headers of clang and of the system (Debian: `apt-get install clang \
         libc6-dev`), or name their directory in `BINDGEN_EXTRA_CLANG_ARGS`, as in `-I/path`"
    } else {
        "the header must compile as C11"
    };
    format!(
        "bindgen cannot read `{}`: {}; {remedy}",
        header.display(),
        error.to_string().trim()
    )
}

/// The configuration.
fn builder(include_dir: &Path, header: &Path, sizes: &Arc<Mutex<SizeMacros>>) -> bindgen::Builder {
    let target = bindgen::RustTarget::stable(85, 0).unwrap_or_default();
    let is_old = fs::read_to_string(header)
        .is_ok_and(|text| text.contains("#define LLAM_ABI_VERSION_MAJOR 1U"));
    bindgen::Builder::default()
        .blocklist_type(if is_old { GROWN_TYPES } else { FOREIGN_TYPES })
        .header(header.display().to_string())
        .clang_arg(format!("-I{}", include_dir.display()))
        .clang_arg("-std=gnu11")
        .allowlist_item("llam_.*|LLAM_.*")
        .blocklist_item(NOT_BOUND)
        .blocklist_type(FOREIGN_TYPES)
        .allowlist_recursively(false)
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .translate_enum_integer_types(true)
        .use_core()
        .rust_target(target)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .merge_extern_blocks(true)
        .disable_header_comment()
        .formatter(bindgen::Formatter::None)
        .parse_callbacks(Box::new(Names(Arc::clone(sizes))))
}

/// Size macros seen so far: name and the type it is the size of.
type SizeMacros = BTreeMap<String, String>;

/// What bindgen asks about names, macros and comments.
#[derive(Debug)]
struct Names(Arc<Mutex<SizeMacros>>);

impl ParseCallbacks for Names {
    /// Tags get the names of the types: `llam_task` and `llam_task_t` are one item.
    fn item_name(&self, item: ItemInfo) -> Option<String> {
        let is_tag = matches!(item.kind, ItemKind::Type) && is_tag(item.name);
        is_tag.then(|| format!("{}_t", item.name))
    }

    /// Leaves bindgen an expression that it can evaluate: without `UINT64_C` and casts. Size macros
    /// are noted and become `size_of` later.
    fn modify_macro(&self, name: &str, tokens: &mut Vec<Token>) {
        if !name.starts_with("LLAM_") {
            return;
        }
        if let Some(measured) = measured_type(tokens) {
            let mut sizes = self.0.lock().expect("no callback panics");
            sizes.insert(name.to_owned(), measured);
            return;
        }
        tokens.retain(|token| !matches!(&*token.raw, b"UINT64_C" | b"UINT32_C"));
    }

    /// The types that `abi.md` 2.4 gives the macros.
    fn int_macro(&self, name: &str, value: i64) -> Option<IntKind> {
        if name.starts_with("LLAM_RUNTIME_EXPERIMENTAL_F_") {
            return Some(IntKind::U64);
        }
        if u32::try_from(value).is_err() {
            return None;
        }
        if name == "LLAM_CHANNEL_SELECT_MAX_OPS" {
            return Some(IntKind::Custom {
                name: "usize",
                is_signed: false,
            });
        }
        name.starts_with("LLAM_").then_some(IntKind::U32)
    }

    fn process_comment(&self, comment: &str) -> Option<String> {
        Some(rustdoc(comment))
    }
}

/// Whether a type of the header is the tag of one whose name ends in `_t`.
fn is_tag(name: &str) -> bool {
    name.starts_with("llam_") && !name.ends_with("_t") && !name.ends_with("_fn")
}

/// The `T` of `((size_t)sizeof(T))`.
fn measured_type(tokens: &[Token]) -> Option<String> {
    let at = tokens.iter().position(|token| &*token.raw == b"sizeof")?;
    let measured = tokens[at..]
        .iter()
        .find(|token| token.kind == TokenKind::Identifier)?;
    let name = String::from_utf8(measured.raw.to_vec()).ok()?;
    Some(if is_tag(&name) { name + "_t" } else { name })
}

/// `size_of` constants for the size macros.
fn size_constants(sizes: &SizeMacros) -> String {
    let mut text = String::new();
    for (name, measured) in sizes {
        text += &format!(
            "\n# [doc = \"Size of `{measured}` here; the size argument that goes with it.\"] \
             pub const {name} : usize = size_of :: < {measured} > () ;"
        );
    }
    text
}

/// Names from `core` without their path: `IMPORTS` and the prelude have them. The layouts that
/// bindgen asserts are those of 64-bit targets.
fn shorten(text: &str) -> String {
    text.replace(":: core :: ffi :: ", "")
        .replace(":: core :: option :: Option", "Option")
        .replace(":: core :: mem :: size_of", "size_of")
        .replace(":: core :: mem :: align_of", "align_of")
        .replace(":: core :: mem :: ", "core :: mem :: ")
        .replace(
            "const _ : () =",
            "# [cfg (target_pointer_width = \"64\")] const _ : () =",
        )
}

/// Constants of anonymous enums get the plain type; the alias that bindgen invents goes.
fn without_anonymous_enums(text: &str) -> String {
    const ALIAS: &str = "pub type _bindgen_ty_";
    let mut text = text.to_owned();
    while let Some(start) = text.find(ALIAS) {
        let end = start + text[start..].find(';').expect("an alias ends") + 1;
        let alias = text[start..end].to_owned();
        let (name, value) = alias
            .trim_start_matches("pub type ")
            .trim_end_matches(';')
            .split_once('=')
            .expect("an alias has a value");
        let documented = text[..start].trim_end().ends_with("\"]");
        let from = match text[..start].rfind("# [doc = ") {
            Some(at) if documented => at,
            _ => start,
        };
        text.replace_range(from..end, "");
        text = text.replace(
            &format!(": {} =", name.trim()),
            &format!(": {} =", value.trim()),
        );
    }
    text
}

/// Makes the handle types neither copyable nor `Send`, `Sync` or `Unpin`.
fn close_handles(text: &str) -> String {
    const BODY: &str = "_unused : [u8 ; 0] ,";
    const DERIVE: &str = "# [derive (";
    let mut pieces = text.split(BODY);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for after in pieces {
        let declared = result.rfind("pub struct ").unwrap_or(result.len());
        if let Some(derive) = result[..declared].rfind(DERIVE) {
            let attribute = result[derive..declared].trim_end();
            if attribute.find(")]") == Some(attribute.len() - 2) {
                let end = derive + attribute.len();
                result.replace_range(derive..end, "# [derive (Debug)]");
            }
        }
        result += "_opaque : [u8 ; 0] , _marker : Opaque ,";
        result += after;
    }
    result
}

/// The comments that libclang does not hand over: those of macros and of forward declarations, by
/// the name of the macro or of the type. Trailing comments are about what precedes them and not ours.
fn comments(include_dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut comments = BTreeMap::new();
    for header in HEADERS {
        let path = include_dir.join("llam").join(header);
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        for piece in text.split("/**").skip(1) {
            let Some((comment, code)) = piece.split_once("*/") else {
                continue;
            };
            if comment.starts_with('<') {
                continue;
            }
            let Some(name) = commented_name(code.trim_start()) else {
                continue;
            };
            let lines: Vec<&str> = comment
                .lines()
                .map(|line| line.trim().trim_start_matches('*').trim())
                .collect();
            comments.insert(name.to_owned(), rustdoc(&lines.join("\n")));
        }
    }
    Ok(comments)
}

/// What a comment in front of this code is about: `LLAM_X` of `#define LLAM_X 1`, `llam_x_t` of
/// `typedef struct llam_x llam_x_t;`.
fn commented_name(code: &str) -> Option<&str> {
    if let Some(definition) = code.strip_prefix("#define ") {
        return definition.split_whitespace().next();
    }
    let declaration = code.strip_prefix("typedef struct ")?.split(';').next()?;
    match declaration.split_whitespace().collect::<Vec<_>>()[..] {
        [_tag, name] => Some(name),
        _ => None,
    }
}

/// Puts these comments in front of what they are about.
fn document(text: &str, comments: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, comment) in comments {
        for declaration in [
            format!("pub const {name} :"),
            format!("# [repr (C)] # [derive (Debug)] pub struct {name} {{"),
        ] {
            let documented = format!("# [doc = {comment:?}] {declaration}");
            text = text.replace(&declaration, &documented);
        }
    }
    text
}

/// A comment as rustdoc takes it: names and `errno` values in backticks, nothing that Markdown reads
/// as a link, as HTML or, being indented, as code.
fn rustdoc(comment: &str) -> String {
    let lines: Vec<String> = comment
        .trim_start_matches('<')
        .trim()
        .lines()
        .map(|line| rustdoc_line(line.trim()))
        .collect();
    lines.join("\n")
}

fn rustdoc_line(line: &str) -> String {
    let mut result = String::with_capacity(line.len() + 16);
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '`' => rest[1..].find('`').map_or(1, |end| end + 2),
            '*' => 1 + word_length(&rest[1..]),
            _ if is_word(first) => word_length(rest),
            _ => first.len_utf8(),
        };
        let taken = taken + code_tail(&rest[..taken], &rest[taken..]);
        let (word, after) = rest.split_at(taken);
        match word {
            "[" | "]" | "<" | ">" => result = result + "\\" + word,
            _ if is_code(word) => result = result + "`" + word + "`",
            _ => result += word,
        }
        rest = after;
    }
    result
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// How much of `rest` belongs to the code that `word` starts: `()`, `(T)` of `sizeof`, the star of
/// `void *` and of `LLAM_SPAWN_F_*`, the value of `LLAM_OPAQUE_TIMING=1`.
fn code_tail(word: &str, rest: &str) -> usize {
    if word == "sizeof" && rest.starts_with('(') {
        return rest.find(')').map_or(0, |end| end + 1);
    }
    if word == "void" && rest.starts_with(" *") {
        return 2;
    }
    if !is_code(word) {
        return 0;
    }
    if rest.starts_with("()") {
        return 2;
    }
    if word.ends_with('_') && rest.starts_with('*') {
        return 1;
    }
    match rest.strip_prefix('=').map(word_length) {
        Some(length) if length > 0 => 1 + length,
        _ => 0,
    }
}

/// Whether a word of a comment is a name of the program: an identifier with an underscore, a pointer
/// that is read, an `errno` value.
fn is_code(word: &str) -> bool {
    if word.starts_with('`') {
        return false;
    }
    let is_errno = word.len() > 3
        && word.starts_with('E')
        && word
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    is_errno
        || word.starts_with("sizeof(")
        || word == "void *"
        || (word.starts_with('*') && word.len() > 1)
        || word.trim_matches('_').contains('_')
        || word.starts_with("llam_")
        || word.starts_with("LLAM_")
}
