//! The engine's side of the ABI against the bindings': every exported function, every struct.
//!
//! Owns the tables that say how the engine spells what the header names. Both sides are parsed, so
//! nothing is built. Invariant: a name that neither table knows stands for itself, so a difference in
//! spelling is a difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::{Field, File, FnArg, ForeignItem, Item, Pat, Token, Type};

use super::read;

/// Where the engine has exported functions, and where it has their structs besides.
const FUNCTIONS: &str = "llam-runtime/src/abi";
const MORE_STRUCTS: [&str; 2] = [
    "llam-runtime/src/object/select.rs",
    "llam-runtime/src/runtime/stats.rs",
];

/// What the engine writes for what the header names. Handles are not here: to the engine they are
/// `c_void`, see `Bindings`.
const SPELLINGS: [(&str, &[&str]); 5] = [
    ("Option<Entry>", &["llam_task_fn"]),
    ("Option<Callback>", &["llam_blocking_fn"]),
    ("iovec", &["llam_iovec_t", "llam_mut_iovec_t"]),
    ("u32", &["llam_task_local_key_t"]),
    ("i32", &["c_int", "llam_fd_t", "llam_handle_t"]),
];

/// The engine's structs. `llam_runtime_stats_t` comes from its macro `stats`.
const STRUCTS: [(&str, &str); 10] = [
    ("AbiInfo", "llam_abi_info_t"),
    ("SpawnOpts", "llam_spawn_opts_t"),
    ("RuntimeOpts", "llam_runtime_opts_t"),
    ("RuntimeStats", "llam_runtime_stats_t"),
    ("SelectOp", "llam_select_op_t"),
    ("TimerOpts", "llam_timer_opts_t"),
    ("SignalEvent", "llam_signal_event_t"),
    ("SignalOpts", "llam_signal_opts_t"),
    ("BufferOpts", "llam_io_buffer_opts_t"),
    ("FileStat", "llam_file_stat_t"),
];

/// What the engine calls parameters and fields whose names in C it cannot use: words of Rust, and
/// `count`, which is a function there.
const WORDS: [(&str, &str); 4] = [
    ("entry", "fn"),
    ("callback", "fn"),
    ("kind", "type"),
    ("size", "count"),
];

/// The macro of the engine that makes a struct from a list of fields.
const STRUCT_MACROS: [(&str, &str); 1] = [("stats", "RuntimeStats")];

/// Parameters or fields: name and type, in order.
type Typed = Vec<(String, String)>;

/// One side: functions with their result type last, named `->`, and structs with their fields.
#[derive(Debug, Default)]
struct Side {
    functions: BTreeMap<String, Typed>,
    structs: BTreeMap<String, Typed>,
}

/// One line per function or struct that the sides do not have alike.
pub(crate) fn differences(root: &Path, bindings: &str) -> Result<Vec<String>, String> {
    let mut engine = Side::default();
    for path in engine_files(root)? {
        let text = read(&path)?;
        let file = syn::parse_file(&text)
            .map_err(|error| format!("cannot parse `{}`: {error}", path.display()))?;
        add_engine(&mut engine, &file).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let bindings = read_bindings(bindings)?;
    let mut lines = compare(&bindings.functions, &engine.functions);
    lines.extend(compare(&bindings.structs, &engine.structs));
    Ok(lines)
}

fn engine_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let directory = root.join(FUNCTIONS);
    let unreadable = |error| format!("cannot read `{}`: {error}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.extend(MORE_STRUCTS.map(|path| root.join(path)));
    files.sort();
    Ok(files)
}

fn compare(bindings: &BTreeMap<String, Typed>, engine: &BTreeMap<String, Typed>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, declared) in bindings {
        let Some(defined) = engine.get(name) else {
            lines.push(format!("`{name}`: in the bindings, not in the engine"));
            continue;
        };
        lines.extend(first_difference(declared, defined).map(|text| format!("`{name}`: {text}")));
    }
    for name in engine.keys().filter(|name| !bindings.contains_key(*name)) {
        lines.push(format!("`{name}`: in the engine, not in the bindings"));
    }
    lines
}

fn first_difference(declared: &Typed, defined: &Typed) -> Option<String> {
    for ((name, ty), (engine_name, engine_ty)) in declared.iter().zip(defined) {
        if plain(name) != word(engine_name, name) || ty != engine_ty {
            return Some(format!(
                "`{name}: {ty}` in the bindings is `{engine_name}: {engine_ty}` in the engine"
            ));
        }
    }
    (declared.len() != defined.len()).then(|| {
        let (ours, theirs) = (declared.len(), defined.len());
        format!("{ours} entries in the bindings, {theirs} in the engine")
    })
}

/// A name without the underscores that avoid keywords and warnings.
fn plain(name: &str) -> &str {
    name.trim_matches('_')
}

/// The engine's name, or the name in C that it stands for when the header has that one.
fn word<'a>(engine_name: &'a str, declared: &str) -> &'a str {
    WORDS
        .iter()
        .find(|(engine, header)| plain(engine_name) == *engine && plain(declared) == *header)
        .map_or(plain(engine_name), |&(_, header)| header)
}

/// Adds the exported functions and the structs of one file of the engine.
fn add_engine(side: &mut Side, file: &File) -> Result<(), String> {
    for item in &file.items {
        match item {
            Item::Fn(function) if is_exported(function) => {
                let typed = signature(&function.sig, &engine_name)?;
                side.functions.insert(function.sig.ident.to_string(), typed);
            }
            Item::Struct(item) => add_struct(side, &item.ident.to_string(), &item.fields)?,
            Item::Macro(item) => add_macro(side, &item.mac)?,
            _ => {}
        }
    }
    Ok(())
}

/// `#[unsafe(no_mangle)] extern "C" fn llam_...`.
fn is_exported(function: &syn::ItemFn) -> bool {
    let unmangled = function.attrs.iter().any(|attribute| {
        attribute.path().is_ident("unsafe")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("no_mangle"))
    });
    let abi = function.sig.abi.as_ref().and_then(|abi| abi.name.as_ref());
    unmangled && abi.is_some_and(|abi| abi.value() == "C")
}

fn add_struct(side: &mut Side, name: &str, fields: &syn::Fields) -> Result<(), String> {
    if let Some((_, c_name)) = STRUCTS.iter().find(|(engine, _)| *engine == name) {
        let fields = typed_fields(fields.iter(), &engine_name)?;
        side.structs.insert((*c_name).to_owned(), fields);
    }
    Ok(())
}

fn add_macro(side: &mut Side, mac: &syn::Macro) -> Result<(), String> {
    let Some((_, name)) = STRUCT_MACROS
        .iter()
        .find(|(engine, _)| mac.path.is_ident(engine))
    else {
        return Ok(());
    };
    let parser = Punctuated::<Field, Token![,]>::parse_terminated_with;
    let fields = mac
        .parse_body_with(|input: syn::parse::ParseStream<'_>| parser(input, Field::parse_named))
        .map_err(|error| format!("cannot read the fields of `{name}`: {error}"))?;
    let c_name = STRUCTS.iter().find(|(engine, _)| engine == name);
    let c_name = c_name.map_or(*name, |&(_, c_name)| c_name);
    let fields = typed_fields(fields.iter(), &engine_name)?;
    side.structs.insert(c_name.to_owned(), fields);
    Ok(())
}

/// Functions and structs of the bindings, in the engine's spelling.
fn read_bindings(text: &str) -> Result<Side, String> {
    let file = syn::parse_file(text).map_err(|error| format!("cannot parse bindings: {error}"))?;
    let is_handle = |item: &syn::ItemStruct| {
        let first = item
            .fields
            .iter()
            .next()
            .and_then(|field| field.ident.as_ref());
        first.is_some_and(|name| name == "_opaque")
    };
    let structs = || {
        file.items.iter().filter_map(|item| match item {
            Item::Struct(item) => Some(item),
            _ => None,
        })
    };
    let handles: Vec<String> = structs()
        .filter(|item| is_handle(item))
        .map(|item| item.ident.to_string())
        .collect();
    let rename = |name: &str| {
        if handles.iter().any(|handle| handle == name) {
            return "c_void".to_owned();
        }
        bindings_name(name)
    };
    let mut side = Side::default();
    for item in structs().filter(|item| !is_handle(item)) {
        let name = item.ident.to_string();
        if STRUCTS.iter().any(|(_, c_name)| *c_name == name) {
            side.structs
                .insert(name, typed_fields(item.fields.iter(), &rename)?);
        }
    }
    for item in &file.items {
        let Item::ForeignMod(block) = item else {
            continue;
        };
        for item in &block.items {
            if let ForeignItem::Fn(function) = item {
                let typed = signature(&function.sig, &rename)?;
                side.functions.insert(function.sig.ident.to_string(), typed);
            }
        }
    }
    Ok(side)
}

/// A name of the bindings as the engine spells it.
fn bindings_name(name: &str) -> String {
    let spelling = SPELLINGS
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|&(engine, _)| engine);
    let of_struct = STRUCTS
        .iter()
        .find(|(_, c_name)| *c_name == name)
        .map(|&(engine, _)| engine);
    spelling.or(of_struct).unwrap_or(name).to_owned()
}

/// A name of the engine; `c_int` and `i32` are one type.
fn engine_name(name: &str) -> String {
    if name == "c_int" { "i32" } else { name }.to_owned()
}

fn typed_fields<'a>(
    fields: impl Iterator<Item = &'a Field>,
    rename: &dyn Fn(&str) -> String,
) -> Result<Typed, String> {
    fields
        .map(|field| {
            let name = field
                .ident
                .as_ref()
                .map_or_else(String::new, ToString::to_string);
            Ok((name, spell(&field.ty, rename)?))
        })
        .collect()
}

/// The parameters, and the result under the name `->`.
fn signature(signature: &syn::Signature, rename: &dyn Fn(&str) -> String) -> Result<Typed, String> {
    let mut typed = Typed::new();
    for input in &signature.inputs {
        let FnArg::Typed(input) = input else {
            return Err(format!("`{}` has a receiver", signature.ident));
        };
        let name = match &*input.pat {
            Pat::Ident(name) => name.ident.to_string(),
            _ => "_".to_owned(),
        };
        typed.push((name, spell(&input.ty, rename)?));
    }
    let result = match &signature.output {
        syn::ReturnType::Default => "()".to_owned(),
        syn::ReturnType::Type(_, ty) => spell(ty, rename)?,
    };
    typed.push(("->".to_owned(), result));
    Ok(typed)
}

/// A type as text, without paths and with its names replaced.
fn spell(ty: &Type, rename: &dyn Fn(&str) -> String) -> Result<String, String> {
    match ty {
        Type::Ptr(pointer) => {
            let kind = if pointer.mutability.is_some() {
                "mut"
            } else {
                "const"
            };
            Ok(format!("*{kind} {}", spell(&pointer.elem, rename)?))
        }
        Type::Path(path) => {
            let last = path.path.segments.last().ok_or("an empty path")?;
            let name = rename(&last.ident.to_string());
            let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return Ok(name);
            };
            let mut inner = Vec::new();
            for argument in &arguments.args {
                if let syn::GenericArgument::Type(ty) = argument {
                    inner.push(spell(ty, rename)?);
                }
            }
            Ok(format!("{name}<{}>", inner.join(", ")))
        }
        _ => Err("a type of a kind that the C ABI does not have".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDINGS: &str = "
        pub struct llam_task_t { _opaque: [u8; 0], _marker: Opaque }
        pub struct llam_signal_opts_t { pub flags: u32, pub reserved0: u32 }
        unsafe extern \"C\" {
            pub fn llam_spawn(fn_: llam_task_fn, arg: *mut c_void) -> *mut llam_task_t;
            pub fn llam_read(fd: llam_fd_t, opts: *const llam_signal_opts_t) -> isize;
            pub fn llam_yield();
        }";
    const ENGINE: &str = "
        #[repr(C)] pub struct SignalOpts { pub flags: u32, pub reserved0: u32 }
        pub struct Private { pub anything: Vec<u8> }
        #[unsafe(no_mangle)]
        pub unsafe extern \"C\" fn llam_spawn(entry: Option<Entry>, arg: *mut c_void)
            -> *mut c_void { body() }
        #[unsafe(no_mangle)]
        pub unsafe extern \"C\" fn llam_read(fd: c_int, opts: *const SignalOpts) -> isize { 0 }
        #[unsafe(no_mangle)]
        pub extern \"C\" fn llam_yield() {}
        pub extern \"C\" fn llam_inner() {}";

    /// The lines for these bindings and this engine.
    fn lines(bindings: &str, engine: &str) -> Vec<String> {
        let bindings = read_bindings(bindings).expect("they parse");
        let file = syn::parse_file(engine).expect("it parses");
        let mut side = Side::default();
        add_engine(&mut side, &file).expect("it is of the ABI");
        let mut lines = compare(&bindings.functions, &side.functions);
        lines.extend(compare(&bindings.structs, &side.structs));
        lines
    }

    #[test]
    fn the_two_spellings_of_one_abi_are_equal() {
        assert_eq!(lines(BINDINGS, ENGINE), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        for (from, to, expected) in [
            (
                "opts: *const S",
                "opts: *mut S",
                "`opts: *const SignalOpts`",
            ),
            ("fd: c_int", "handle: c_int", "`handle: i32` in the engine"),
            ("-> isize", "-> usize", "`->: isize` in the bindings"),
            ("llam_yield()", "llam_yield(times: u32)", "`llam_yield`: "),
            ("fn llam_inner", "fn llam_other", ""),
            (
                "extern \"C\" fn llam_yield",
                "fn llam_yield",
                "not in the engine",
            ),
            ("pub flags: u32, ", "", "`flags: u32` in the bindings"),
            (
                ", pub reserved0: u32",
                "",
                "2 entries in the bindings, 1 in",
            ),
        ] {
            let changed = ENGINE.replacen(from, to, 1);
            assert_ne!(changed, ENGINE, "{from}");
            let lines = lines(BINDINGS, &changed);
            if expected.is_empty() {
                assert_eq!(lines, Vec::<String>::new(), "{from}");
            } else {
                assert_eq!(lines.len(), 1, "{from}: {lines:?}");
                assert!(lines[0].contains(expected), "{from}: {lines:?}");
            }
        }
    }

    #[test]
    fn a_function_that_the_header_lacks_is_told() {
        let engine = ENGINE.replace(
            "pub extern \"C\" fn llam_inner",
            "#[unsafe(no_mangle)] pub extern \"C\" fn llam_inner",
        );
        assert_eq!(
            lines(BINDINGS, &engine),
            ["`llam_inner`: in the engine, not in the bindings"]
        );
    }

    #[test]
    fn the_checked_in_bindings_and_the_engine_agree() {
        let root = super::super::workspace();
        let bindings = read(&root.join(super::super::BINDINGS)).expect("it is checked in");
        let lines = differences(&root, &bindings).expect("both parse");
        assert!(lines.is_empty(), "{lines:#?}");
    }
}
