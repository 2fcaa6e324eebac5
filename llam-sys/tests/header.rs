//! The checked-in Rust declarations against the C headers: same functions, same parameters, same
//! types, same constants.
//!
//! Both are read as text, so that this needs no libclang; `cargo xtask bindings --check` compares with
//! what bindgen makes of the headers. A C compiler, where there is one, then checks that the headers
//! stand on their own in C and C++ and that their struct sizes are ours.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the source is there")
}

/// Return type and parameters of each function, as `(type, name)` with types in Rust spelling.
type Functions = BTreeMap<String, (String, Vec<(String, String)>)>;

/// `const char *name` becomes (`*const c_char`, `name`).
fn c_declarator(text: &str) -> (String, String) {
    let text = text.trim();
    let split = text
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .map_or(0, |at| at + 1);
    let (ty, name) = text.split_at(split);
    (c_type(ty), name.to_owned())
}

fn c_type(text: &str) -> String {
    let stars = text.matches('*').count();
    let base = text.replace('*', " ");
    let is_const = base.contains("const ");
    let base = base.replace("const ", " ").replace("struct ", " ");
    let base = match base.trim() {
        "int" => "c_int",
        "short" => "c_short",
        "char" => "c_char",
        "void" => "c_void",
        "size_t" => "usize",
        "ssize_t" => "isize",
        "uint32_t" => "u32",
        "uint64_t" => "u64",
        other => other,
    };
    if stars == 0 {
        return base.to_owned();
    }
    let inner = if is_const { "*const " } else { "*mut " };
    format!("{}{inner}{base}", "*mut ".repeat(stars - 1))
}

fn header_functions() -> Functions {
    let text = read("include/llam/runtime.h") + &read("include/llam/io.h");
    let mut functions = Functions::new();
    for declaration in text.split("LLAM_API ").skip(1) {
        let declaration = &declaration[..declaration.find(';').expect("a prototype ends")];
        let (head, parameters) = declaration
            .split_once('(')
            .expect("a prototype has parameters");
        let (result, name) = c_declarator(head);
        let parameters = parameters.trim_end_matches(')');
        let parameters = match parameters {
            "void" => Vec::new(),
            list => list.split(',').map(c_declarator).collect(),
        };
        assert!(
            functions
                .insert(name.clone(), (result, parameters))
                .is_none(),
            "{name} twice"
        );
    }
    functions
}

fn rust_functions() -> Functions {
    let text = read("src/bindings.rs");
    let mut functions = Functions::new();
    for declaration in text.split("pub fn ").skip(1) {
        let declaration = &declaration[..declaration.find(';').expect("a declaration ends")];
        let (name, rest) = declaration
            .split_once('(')
            .expect("a declaration has parameters");
        let (parameters, result) = rest.rsplit_once(')').expect("parameters end");
        let result = result.trim().trim_start_matches("-> ").trim();
        let result = if result.is_empty() { "c_void" } else { result };
        let parameters = parameters
            .split(',')
            .map(str::trim)
            .filter(|p| !p.is_empty())
            .map(|p| {
                let (name, ty) = p.split_once(':').expect("a parameter has a type");
                (
                    ty.trim().to_owned(),
                    name.trim().trim_end_matches('_').to_owned(),
                )
            })
            .collect();
        functions.insert(name.to_owned(), (result.to_owned(), parameters));
    }
    functions
}

#[test]
fn bindings_declare_what_the_header_declares() {
    let header = header_functions();
    let rust = rust_functions();
    assert_eq!(header.len(), 130);
    for (name, declaration) in &header {
        assert_eq!(rust.get(name), Some(declaration), "{name}");
    }
    assert_eq!(rust.len(), 130);
}

#[test]
fn every_header_constant_exists_in_rust() {
    let header = read("include/llam/runtime.h") + &read("include/llam/io.h");
    let rust = read("src/bindings.rs") + &read("src/types.rs");
    let mut found = 0;
    for line in header.lines().map(str::trim) {
        let name = match line.strip_prefix("#define ") {
            Some(rest) => rest.split(' ').next().expect("a macro has a name"),
            None if line.starts_with("LLAM_") && line.contains(" = ") => {
                line.split(' ').next().expect("an enumerator has a name")
            }
            None => continue,
        };
        let is_guard = name.ends_with("_H") || name == "LLAM_IO_DECLS_INCLUDED";
        if is_guard || name.contains('(') {
            continue;
        }
        assert!(
            rust.contains(&format!("pub const {name}:")),
            "{name} is missing"
        );
        found += 1;
    }
    assert!(
        found > 40,
        "only {found} constants found: the header reads differently now"
    );
}

/// Runs a compiler over a program on standard input; `None` when there is no such compiler.
fn compile(
    compiler: &str,
    language: &str,
    standard: &str,
    program: &str,
) -> Option<(bool, String)> {
    let mut child = Command::new(compiler)
        .args(["-fsyntax-only", "-x", language, "-"])
        .arg(format!("-std={standard}"))
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .arg("-I")
        .arg(root().join("include"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, program.as_bytes()).expect("the compiler reads");
    drop(input);
    let output = child.wait_with_output().expect("the compiler ends");
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.success(), messages))
}

#[test]
fn headers_are_clean_c11_and_cpp17() {
    for header in ["platform", "runtime", "io"] {
        let program = format!("#include \"llam/{header}.h\"\nint main(void) {{ return 0; }}\n");
        for (compiler, language, standard) in [
            ("cc", "c", "c11"),
            ("cc", "c", "gnu17"),
            ("c++", "c++", "c++17"),
            ("c++", "c++", "gnu++20"),
        ] {
            let Some((clean, messages)) = compile(compiler, language, standard, &program) else {
                println!("no {compiler} here: skipped");
                continue;
            };
            assert!(clean, "llam/{header}.h as {standard}:\n{messages}");
        }
    }
}

#[test]
fn c_and_rust_agree_on_sizes_and_offsets() {
    use core::mem::offset_of;
    use llam_sys::*;
    let mut program = String::from("#include \"llam/io.h\"\n");
    let mut check = |condition: String| {
        program += &format!("_Static_assert({condition}, \"{condition}\");\n");
    };
    for (name, size) in [
        ("llam_abi_info_t", size_of::<llam_abi_info_t>()),
        ("llam_spawn_opts_t", size_of::<llam_spawn_opts_t>()),
        ("llam_runtime_opts_t", size_of::<llam_runtime_opts_t>()),
        ("llam_runtime_stats_t", size_of::<llam_runtime_stats_t>()),
        ("llam_select_op_t", size_of::<llam_select_op_t>()),
        ("llam_timer_opts_t", size_of::<llam_timer_opts_t>()),
        ("llam_signal_event_t", size_of::<llam_signal_event_t>()),
        ("llam_signal_opts_t", size_of::<llam_signal_opts_t>()),
        ("llam_iovec_t", size_of::<llam_iovec_t>()),
        ("llam_mut_iovec_t", size_of::<llam_mut_iovec_t>()),
        ("llam_io_buffer_opts_t", size_of::<llam_io_buffer_opts_t>()),
        ("llam_file_stat_t", size_of::<llam_file_stat_t>()),
    ] {
        check(format!("sizeof({name}) == {size}"));
    }
    for (place, offset) in [
        (
            "llam_runtime_stats_t, preempt_quantum_ns",
            offset_of!(llam_runtime_stats_t, preempt_quantum_ns),
        ),
        (
            "llam_runtime_stats_t, sqpoll",
            offset_of!(llam_runtime_stats_t, sqpoll),
        ),
        (
            "llam_runtime_opts_t, preempt_mode",
            offset_of!(llam_runtime_opts_t, preempt_mode),
        ),
        (
            "llam_select_op_t, result_errno",
            offset_of!(llam_select_op_t, result_errno),
        ),
        (
            "llam_file_stat_t, type",
            offset_of!(llam_file_stat_t, type_),
        ),
    ] {
        check(format!("offsetof({place}) == {offset}"));
    }
    match compile("cc", "c", "c11", &program) {
        Some((clean, messages)) => assert!(clean, "{messages}"),
        None => println!("no cc here: skipped"),
    }
}

#[test]
fn macros_evaluate_their_argument_once() {
    let program = "
#include <assert.h>
#include \"llam/runtime.h\"
static int calls;
static inline size_t count(size_t value) { calls++; return value; }
void use(void);
void use(void) {
    llam_fd_t fd = 3;
    (void)LLAM_FD_IS_INVALID(fd++);
    (void)LLAM_HANDLE_IS_INVALID(fd++);
    LLAM_PREEMPT_POLL();
    LLAM_PREEMPT_POLL_EVERY(count(1), count(2));
    (void)calls;
}
";
    // -Wsequence-point, part of -Wall, rejects a macro that would evaluate `fd++` twice.
    match compile("cc", "c", "c11", program) {
        Some((clean, messages)) => assert!(clean, "{messages}"),
        None => println!("no cc here: skipped"),
    }
}
