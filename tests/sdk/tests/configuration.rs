//! The build script of llam-sys: what each variable does, and what it says when one is wrong.
//!
//! Each case is a `cargo check` of llam-sys with a clean environment, in a target folder of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sdk_tests::{Release, prefix, text_of, work_folder, workspace};

/// What a `cargo check` of llam-sys printed.
struct Checked {
    succeeded: bool,
    text: String,
}

fn check(arguments: &[&str], variables: &[(&str, &str)]) -> Checked {
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(workspace())
        .args(["check", "--package", "llam-sys"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", work_folder().join("configuration"))
        .env("CARGO_TERM_COLOR", "never");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LLAM_")) {
        command.env_remove(name);
    }
    command.env_remove("DOCS_RS");
    command.envs(variables.iter().copied());
    let output = command.output().expect("cargo can be started");
    Checked {
        succeeded: output.status.success(),
        text: text_of(&output),
    }
}

/// The build stops with exactly one error of the build script, which has each of the parts.
fn is_refused(variables: &[(&str, &str)], parts: &[&str]) {
    let checked = check(&[], variables);
    assert!(!checked.succeeded, "{variables:?} went well");
    let messages: Vec<&str> = checked
        .text
        .lines()
        .filter(|line| line.starts_with("error: llam-sys@"))
        .collect();
    let [message] = messages[..] else {
        panic!("one message for {variables:?}: {}", checked.text);
    };
    for part in parts {
        assert!(message.contains(part), "`{part}` in: {message}");
    }
}

fn is_accepted(arguments: &[&str], variables: &[(&str, &str)]) {
    let checked = check(arguments, variables);
    assert!(
        checked.succeeded,
        "{arguments:?} {variables:?}: {}",
        checked.text
    );
}

/// A new, empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = work_folder().join("configuration-inputs").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A prefix that shares headers and libraries with the whole SDK, to be spoiled.
fn copy_of_sdk(name: &str) -> PathBuf {
    let copy = folder(name);
    let sdk = prefix(Release::Current);
    fs::create_dir_all(copy.join("include/llam")).unwrap();
    fs::create_dir_all(copy.join("lib")).unwrap();
    for header in ["platform.h", "runtime.h", "io.h"] {
        let from = sdk.join("include/llam").join(header);
        fs::copy(from, copy.join("include/llam").join(header)).unwrap();
    }
    for library in ["libllam_runtime.a", "libllam_runtime.so"] {
        symlink(
            sdk.join("lib").join(library),
            copy.join("lib").join(library),
        )
        .unwrap();
    }
    copy
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn without_variables_the_engine_is_the_bundled_one() {
    is_accepted(&[], &[]);
}

#[test]
fn a_prefix_serves_with_and_without_the_bundled_engine() {
    let sdk = text(prefix(Release::Current));
    is_accepted(&[], &[("LLAM_SYS_PREFIX", sdk)]);
    is_accepted(&["--no-default-features"], &[("LLAM_SYS_PREFIX", sdk)]);
    is_accepted(
        &[],
        &[("LLAM_SYS_PREFIX", sdk), ("LLAM_SYS_LINK_KIND", "dylib")],
    );
    is_accepted(&[], &[("LLAM_SYS_PREFIX", text(prefix(Release::OneZero)))]);
}

#[test]
fn two_folders_serve_as_a_prefix_does() {
    let sdk = prefix(Release::Current);
    let (include, lib) = (sdk.join("include"), sdk.join("lib"));
    let (include, lib) = (text(&include), text(&lib));
    is_accepted(
        &[],
        &[("LLAM_SYS_INCLUDE_DIR", include), ("LLAM_SYS_LIB_DIR", lib)],
    );
    is_refused(
        &[("LLAM_SYS_INCLUDE_DIR", include)],
        &["LLAM_SYS_LIB_DIR", include, "set both"],
    );
    is_refused(
        &[("LLAM_SYS_LIB_DIR", lib)],
        &["LLAM_SYS_INCLUDE_DIR", lib, "set both"],
    );
    is_refused(
        &[
            ("LLAM_SYS_INCLUDE_DIR", include),
            ("LLAM_SYS_LIB_DIR", "/not/here"),
        ],
        &["LLAM_SYS_LIB_DIR=/not/here", "is not a folder"],
    );
}

#[test]
fn a_library_may_have_another_name() {
    let copy = copy_of_sdk("other-name");
    let lib = copy.join("lib");
    fs::rename(lib.join("libllam_runtime.a"), lib.join("libmine.a")).unwrap();
    is_accepted(
        &[],
        &[
            ("LLAM_SYS_PREFIX", text(&copy)),
            ("LLAM_SYS_LIB_NAME", "mine"),
        ],
    );
}

#[test]
fn a_missing_prefix_is_named() {
    is_refused(
        &[("LLAM_SYS_PREFIX", "/not/here")],
        &[
            "LLAM_SYS_PREFIX=/not/here",
            "is not a folder",
            "where the LLAM SDK is installed",
        ],
    );
}

#[test]
fn a_prefix_without_a_header_is_named() {
    let empty = folder("empty");
    is_refused(
        &[("LLAM_SYS_PREFIX", text(&empty))],
        &[
            "LLAM_SYS_PREFIX",
            text(&empty.join("include/llam/runtime.h")),
            "cannot be read",
            "installed in",
        ],
    );
}

#[test]
fn a_header_without_a_library_is_named() {
    let copy = copy_of_sdk("no-library");
    fs::remove_file(copy.join("lib/libllam_runtime.a")).unwrap();
    is_refused(
        &[("LLAM_SYS_PREFIX", text(&copy))],
        &[
            "LLAM_SYS_PREFIX",
            text(&copy.join("lib/libllam_runtime.a")),
            "LLAM_SYS_LINK_KIND",
        ],
    );
    is_accepted(
        &[],
        &[
            ("LLAM_SYS_PREFIX", text(&copy)),
            ("LLAM_SYS_LINK_KIND", "dylib"),
        ],
    );
}

#[test]
fn a_library_for_another_machine_is_named() {
    let copy = copy_of_sdk("other-machine");
    let library = copy.join("lib/libllam_runtime.so");
    let mut bytes = fs::read(&library).unwrap();
    // The machine of an ELF file; 243 is RISC-V.
    bytes[18..20].copy_from_slice(&243_u16.to_le_bytes());
    fs::remove_file(&library).unwrap();
    fs::write(&library, bytes).unwrap();
    is_refused(
        &[
            ("LLAM_SYS_PREFIX", text(&copy)),
            ("LLAM_SYS_LINK_KIND", "dylib"),
        ],
        &[
            "LLAM_SYS_PREFIX",
            text(&library),
            "riscv64",
            std::env::consts::ARCH,
            "name an SDK for",
        ],
    );
}

#[test]
fn a_library_that_is_none_is_named() {
    let copy = copy_of_sdk("no-archive");
    let library = copy.join("lib/libllam_runtime.a");
    fs::remove_file(&library).unwrap();
    fs::write(&library, "not an archive").unwrap();
    is_refused(
        &[("LLAM_SYS_PREFIX", text(&copy))],
        &["LLAM_SYS_PREFIX", text(&library), "install the SDK again"],
    );
}

#[test]
fn a_header_and_a_library_that_do_not_belong_together_are_named() {
    let copy = copy_of_sdk("two-releases");
    let library = copy.join("lib/libllam_runtime.a");
    let old = prefix(Release::OneZero).join("lib/libllam_runtime.a");
    fs::remove_file(&library).unwrap();
    fs::copy(old, &library).unwrap();
    is_refused(
        &[("LLAM_SYS_PREFIX", text(&copy))],
        &[
            "LLAM_SYS_PREFIX",
            text(&library),
            "llam_",
            "different releases",
        ],
    );
    // The other kind under its name.
    fs::remove_file(&library).unwrap();
    fs::copy(copy.join("lib/libllam_runtime.so"), &library).unwrap();
    is_refused(
        &[("LLAM_SYS_PREFIX", text(&copy))],
        &["LLAM_SYS_PREFIX", text(&library), "not an archive"],
    );
}

#[test]
fn relative_paths_are_refused() {
    for name in [
        "LLAM_SYS_PREFIX",
        "LLAM_SYS_LIB_DIR",
        "LLAM_SYS_INSTALL_PREFIX",
        "LLAM_SYS_INSTALL_SCRIPT",
    ] {
        is_refused(
            &[(name, "../somewhere")],
            &[&format!("{name}=../somewhere"), "absolute path"],
        );
    }
}

#[test]
fn a_library_without_an_sdk_is_refused() {
    is_refused(
        &[("LLAM_SYS_LINK_KIND", "dylib")],
        &["LLAM_SYS_LINK_KIND", "LLAM_SYS_PREFIX"],
    );
    is_refused(
        &[("LLAM_SYS_LIB_NAME", "mine")],
        &["LLAM_SYS_LIB_NAME", "LLAM_SYS_PREFIX"],
    );
}

#[test]
fn a_header_that_is_too_old_too_new_or_none_is_named() {
    for (version, parts) in [
        (("1", "0", "0", "1"), ["1.0.0", "1.0.1 is the oldest"]),
        (("3", "0", "0", "3"), ["3.0.0", "ABI 1 and 2"]),
        (("x", "0", "0", "2"), ["does not say its version", "again"]),
    ] {
        let copy = copy_of_sdk("version");
        let header = copy.join("include/llam/runtime.h");
        let (major, minor, patch, abi) = version;
        let spoiled = fs::read_to_string(&header)
            .unwrap()
            .replace(
                "define LLAM_VERSION_MAJOR 2U",
                &format!("define LLAM_VERSION_MAJOR {major}U"),
            )
            .replace(
                "define LLAM_VERSION_MINOR 1U",
                &format!("define LLAM_VERSION_MINOR {minor}U"),
            )
            .replace(
                "define LLAM_VERSION_PATCH 0U",
                &format!("define LLAM_VERSION_PATCH {patch}U"),
            )
            .replace(
                "define LLAM_ABI_VERSION_MAJOR 2U",
                &format!("define LLAM_ABI_VERSION_MAJOR {abi}U"),
            );
        fs::write(&header, spoiled).unwrap();
        let mut all = vec!["LLAM_SYS_PREFIX", text(&header)];
        all.extend(parts);
        is_refused(&[("LLAM_SYS_PREFIX", text(&copy))], &all);
    }
}

#[test]
fn a_wrong_link_kind_is_named() {
    is_refused(
        &[
            ("LLAM_SYS_PREFIX", text(prefix(Release::Current))),
            ("LLAM_SYS_LINK_KIND", "framework"),
        ],
        &["LLAM_SYS_LINK_KIND is `framework`", "`static`", "`dylib`"],
    );
}

#[test]
fn no_engine_at_all_is_an_error() {
    let checked = check(&["--no-default-features"], &[]);
    assert!(!checked.succeeded);
    for part in ["no engine", "`bundled`", "LLAM_SYS_PREFIX"] {
        assert!(checked.text.contains(part), "{part} in {}", checked.text);
    }
}

/// An installer that notes its arguments and lays out the SDK of `release`, or what `body` does.
fn installer(folder: &Path, body: &str) -> PathBuf {
    let script = folder.join("install.sh");
    let notes = folder.join("arguments.txt");
    let text = format!("#!/bin/sh\necho \"$@\" >> '{}'\n{body}\n", notes.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// What a good installer does: `$2` is the value of `--prefix`, its first argument.
fn lay_out(release: Release) -> String {
    let sdk = prefix(release);
    format!("mkdir -p \"$2\" && cp -r '{}'/. \"$2\"", sdk.display())
}

fn runs_of(folder: &Path) -> Vec<String> {
    let notes = fs::read_to_string(folder.join("arguments.txt")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

#[test]
fn an_installer_is_run_once_with_what_it_needs() {
    let folder = folder("installer");
    let script = installer(&folder, &lay_out(Release::OneZero));
    let target = folder.join("sdk");
    let variables = [
        ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
        ("LLAM_SYS_INSTALL_PREFIX", text(&target)),
        ("LLAM_SYS_INSTALL_BASE_URL", "https://sdk.invalid/releases"),
    ];
    is_accepted(&[], &variables);
    let expected = format!(
        "--prefix {} --version 1.0.1 --target linux-{} --base-url https://sdk.invalid/releases \
         --force",
        target.display(),
        std::env::consts::ARCH
    );
    assert_eq!(runs_of(&folder), [expected.as_str()]);

    // It is there now.
    is_accepted(&["--no-default-features"], &variables);
    assert_eq!(runs_of(&folder).len(), 1);

    let forced = [&variables[..], &[("LLAM_SYS_FORCE_INSTALL", "1")]].concat();
    is_accepted(&[], &forced);
    assert_eq!(runs_of(&folder).len(), 2);

    let other = [&variables[..], &[("LLAM_SYS_INSTALL_VERSION", "2.1.0")]].concat();
    is_refused(
        &other,
        &["LLAM_SYS_INSTALL_VERSION", "1.0.1", "2.1.0", text(&target)],
    );
}

#[test]
fn an_installer_that_fails_is_named_with_its_last_words() {
    let folder = folder("failing-installer");
    let script = installer(&folder, "echo 'no room on the disk' >&2; exit 3");
    let target = folder.join("sdk");
    is_refused(
        &[
            ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
            ("LLAM_SYS_INSTALL_PREFIX", text(&target)),
        ],
        &[
            "LLAM_SYS_INSTALL_SCRIPT",
            text(&script),
            "exit status: 3",
            text(&target),
            "no room on the disk",
            "LLAM_SYS_PREFIX",
        ],
    );
    is_refused(
        &[("LLAM_SYS_INSTALL_SCRIPT", "/not/here/install.sh")],
        &[
            "LLAM_SYS_INSTALL_SCRIPT=/not/here/install.sh",
            "is not a file",
        ],
    );
    is_refused(
        &[("LLAM_SYS_INSTALL_VERSION", "2.1.0")],
        &["LLAM_SYS_INSTALL_SCRIPT", "path or URL"],
    );
    is_refused(
        &[
            ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
            ("LLAM_SYS_INSTALL_TARGET", "amiga-m68k"),
        ],
        &["LLAM_SYS_INSTALL_TARGET", "amiga-m68k", "linux-x86_64"],
    );
    is_refused(
        &[
            ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
            ("LLAM_SYS_INSTALL_PREFIX", text(&folder.join("nothing"))),
            ("LLAM_SYS_NO_INSTALL", "1"),
        ],
        &["LLAM_SYS_NO_INSTALL", text(&folder.join("nothing"))],
    );
}

#[test]
fn an_installer_that_installs_nothing_is_named() {
    let folder = folder("idle-installer");
    let script = installer(&folder, "exit 0");
    let target = folder.join("sdk");
    is_refused(
        &[
            ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
            ("LLAM_SYS_INSTALL_PREFIX", text(&target)),
        ],
        &["LLAM_SYS_INSTALL_SCRIPT", "ended well, but", text(&target)],
    );
}

#[test]
fn what_an_installer_leaves_running_does_not_hold_the_build_up() {
    let folder = folder("lingering-installer");
    let body = format!("sleep 600 & {}", lay_out(Release::Current));
    let script = installer(&folder, &body);
    let target = folder.join("sdk");
    let began = std::time::Instant::now();
    is_accepted(
        &[],
        &[
            ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
            ("LLAM_SYS_INSTALL_PREFIX", text(&target)),
            ("LLAM_SYS_INSTALL_VERSION", "2.1.0"),
        ],
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(300));
    let _ = Command::new("pkill").args(["-f", "^sleep 600$"]).status();
}

#[test]
fn an_installer_can_be_fetched() {
    if !sdk_tests::has_tool("curl") {
        return;
    }
    let folder = folder("fetched-installer");
    let script = installer(&folder, &lay_out(Release::Current));
    let url = format!("file://{}", script.display());
    let target = folder.join("sdk");
    is_accepted(
        &[],
        &[
            ("LLAM_SYS_INSTALL_SCRIPT", &url),
            ("LLAM_SYS_INSTALL_PREFIX", text(&target)),
            ("LLAM_SYS_INSTALL_VERSION", "2.1.0"),
        ],
    );
    assert_eq!(runs_of(&folder).len(), 1);
    is_refused(
        &[(
            "LLAM_SYS_INSTALL_BASE_URL",
            &format!("file://{}/none", folder.display()),
        )],
        &[
            "LLAM_SYS_INSTALL_SCRIPT",
            "none/install.sh",
            "cannot be fetched",
        ],
    );
}

#[test]
fn documentation_needs_neither_an_installer_nor_a_library() {
    let folder = folder("documentation");
    let script = installer(&folder, "exit 1");
    let variables = [
        ("DOCS_RS", "1"),
        ("LLAM_SYS_INSTALL_SCRIPT", text(&script)),
        ("LLAM_SYS_FORCE_INSTALL", "1"),
        ("LLAM_SYS_PREFIX", "/not/here"),
    ];
    is_accepted(&[], &variables);
    is_accepted(&["--no-default-features"], &variables);
    assert!(runs_of(&folder).is_empty(), "the installer has run");
}

#[test]
fn bindings_come_from_the_header_of_the_sdk_when_asked_for() {
    let checked = check(
        &["--features", "bindgen"],
        &[("LLAM_SYS_PREFIX", text(prefix(Release::OneZero)))],
    );
    if !checked.succeeded && checked.text.contains("finds no libclang") {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no libclang");
        return;
    }
    assert!(checked.succeeded, "{}", checked.text);
    is_accepted(
        &["--features", "bindgen"],
        &[("LLAM_SYS_PREFIX", text(prefix(Release::Current)))],
    );
}
