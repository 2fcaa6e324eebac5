//! The layout of the SDK, and programs that use it the ways C and C++ projects do: by CMake, by
//! pkg-config, beside another Rust library, and from the published crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sdk_tests::{
    Kind, Release, STRICT, compiler, drivers, has_tool, must_succeed, prefix, run_within, text_of,
    work_folder, workspace,
};

const LIMIT: Duration = Duration::from_secs(120);

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("consumers")
}

fn output_folder(name: &str) -> PathBuf {
    let folder = work_folder().join("consumers").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn runs(command: &mut Command) -> String {
    let output = run_within(LIMIT, command);
    let text = text_of(&output);
    assert!(
        output.status.success(),
        "{} from {command:?}\n{text}",
        output.status
    );
    text
}

/// The functions of the contract; with `only_one_zero` those that 1.0 had.
fn contract(only_one_zero: bool) -> BTreeSet<String> {
    let text = fs::read_to_string(workspace().join("docs/abi.md")).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("#### `")?.split_once('`'))
        .filter(|(_, since)| !only_one_zero || since.ends_with("1.0"))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn symbols(arguments: &[&str], file: &Path) -> BTreeSet<String> {
    let mut command = Command::new("nm");
    let output = must_succeed(command.args(arguments).arg("--defined-only").arg(file));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(
            |line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                [_, _, name] => Some(name.to_owned()),
                _ => None,
            },
        )
        .collect()
}

#[test]
fn the_libraries_define_the_functions_of_the_contract_and_nothing_else() {
    for (release, version, count) in [
        (Release::Current, "2.1.0", 130),
        (Release::OneZero, "1.0.1", 90),
    ] {
        let expected = contract(release == Release::OneZero);
        assert_eq!(expected.len(), count);
        let lib = prefix(release).join("lib");
        let shared = lib.join(format!("libllam_runtime.so.{version}"));
        assert_eq!(symbols(&["-D"], &shared), expected);
        let archive = lib.join("libllam_runtime.a");
        assert_eq!(symbols(&["--extern-only"], &archive), expected);
    }
}

#[test]
fn the_prefix_has_what_appendix_b_lists() {
    let sdk = prefix(Release::Current);
    for file in [
        "include/llam/runtime.h",
        "include/llam/platform.h",
        "include/llam/io.h",
        "lib/libllam_runtime.a",
        "lib/libllam_runtime.so.2.1.0",
        "lib/pkgconfig/llam.pc",
        "lib/cmake/llam/llam-config.cmake",
        "lib/cmake/llam/llam-config-version.cmake",
        "lib/cmake/llam/llam-targets.cmake",
        "lib/cmake/llam/llam-targets-release.cmake",
        "share/llam/LICENSE",
    ] {
        assert!(sdk.join(file).is_file(), "{file}");
    }
    let lib = sdk.join("lib");
    let link = |name: &str| fs::read_link(lib.join(name)).unwrap();
    assert_eq!(
        link("libllam_runtime.so"),
        Path::new("libllam_runtime.so.2")
    );
    assert_eq!(
        link("libllam_runtime.so.2"),
        Path::new("libllam_runtime.so.2.1.0")
    );
    let dynamic = must_succeed(
        Command::new("readelf")
            .arg("-d")
            .arg(lib.join("libllam_runtime.so")),
    );
    let dynamic = text_of(&dynamic);
    assert!(
        dynamic.contains("soname: [libllam_runtime.so.2]"),
        "{dynamic}"
    );
    let old = prefix(Release::OneZero);
    assert!(!old.join("include/llam/io.h").exists());
    assert!(old.join("lib/libllam_runtime.so.1").exists());
}

#[test]
fn the_headers_stand_alone_in_c11_and_in_cpp17() {
    for release in [Release::Current, Release::OneZero] {
        let include = prefix(release).join("include");
        for header in ["platform.h", "runtime.h", "io.h"] {
            if !include.join("llam").join(header).exists() {
                continue;
            }
            let folder = output_folder("headers");
            for (is_cpp, standard, extension) in
                [(false, "-std=c11", "c"), (true, "-std=c++17", "cpp")]
            {
                let source = folder.join(format!("{release:?}_{header}.{extension}"));
                // Twice, for the include guards.
                let line = format!("#include <llam/{header}>\n");
                fs::write(&source, line.repeat(2) + "int main(void) { return 0; }\n").unwrap();
                must_succeed(
                    compiler(is_cpp)
                        .arg(standard)
                        .args(STRICT)
                        .arg("-fsyntax-only")
                        .arg("-I")
                        .arg(&include)
                        .arg(&source),
                );
            }
        }
    }
}

#[test]
fn a_cpp_program_builds_and_runs() {
    let sdk = prefix(Release::Current);
    for kind in Kind::ALL {
        let program = output_folder("cpp").join(format!("{kind:?}"));
        must_succeed(
            compiler(true)
                .arg("-std=c++17")
                .args(STRICT)
                .arg("-I")
                .arg(sdk.join("include"))
                .arg(sources().join("cpp/main.cpp"))
                .arg("-o")
                .arg(&program)
                .args(kind.link_arguments(sdk))
                .arg("-pthread"),
        );
        for driver in drivers() {
            let text = runs(Command::new(&program).env("LLAM_IO_BACKEND", &driver));
            assert!(text.contains("ok"), "{text}");
        }
    }
}

#[test]
fn a_cmake_project_finds_both_libraries() {
    if !has_tool("cmake") {
        return;
    }
    let build = output_folder("cmake");
    must_succeed(
        Command::new("cmake")
            .arg("-S")
            .arg(sources().join("cmake"))
            .arg("-B")
            .arg(&build)
            .arg(format!(
                "-DCMAKE_PREFIX_PATH={}",
                prefix(Release::Current).display()
            )),
    );
    must_succeed(Command::new("cmake").arg("--build").arg(&build));
    for program in ["with_static", "with_shared"] {
        let text = runs(&mut Command::new(build.join(program)));
        assert!(text.starts_with("ok 2."), "{program}: {text}");
    }

    // Another major version is not taken.
    let text = fs::read_to_string(sources().join("cmake/CMakeLists.txt")).unwrap();
    let other = output_folder("cmake-other-version");
    fs::write(
        other.join("CMakeLists.txt"),
        text.replace("llam 2 CONFIG", "llam 1 CONFIG"),
    )
    .unwrap();
    fs::copy(sources().join("cmake/main.c"), other.join("main.c")).unwrap();
    let refused = Command::new("cmake")
        .arg("-S")
        .arg(&other)
        .arg("-B")
        .arg(other.join("build"))
        .arg(format!(
            "-DCMAKE_PREFIX_PATH={}",
            prefix(Release::Current).display()
        ))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(
        text_of(&refused).contains("version: 2.1.0"),
        "{}",
        text_of(&refused)
    );
}

#[test]
fn pkg_config_leads_to_both_libraries() {
    if !has_tool("pkg-config") {
        return;
    }
    let text = must_succeed(
        Command::new("sh")
            .arg(sources().join("pkgconfig/build.sh"))
            .arg(prefix(Release::Current))
            .arg(output_folder("pkgconfig")),
    );
    let text = text_of(&text);
    for program in ["with_shared: ok 2.", "with_static: ok 2."] {
        assert!(text.contains(program), "{text}");
    }
}

#[test]
fn the_static_library_links_beside_another_rust_library_in_either_order() {
    let folder = output_folder("rust-neighbour");
    let neighbour = folder.join("libneighbour.a");
    must_succeed(
        Command::new("rustc")
            .args(["--edition", "2021", "-O", "--crate-type", "staticlib", "-o"])
            .arg(&neighbour)
            .arg(sources().join("rust-neighbour/neighbour.rs")),
    );
    let sdk = prefix(Release::Current);
    let engine = sdk.join("lib/libllam_runtime.a");
    for (name, libraries) in [
        ("engine_first", [&engine, &neighbour]),
        ("neighbour_first", [&neighbour, &engine]),
    ] {
        let program = folder.join(name);
        must_succeed(
            compiler(false)
                .args(STRICT)
                .arg("-I")
                .arg(sdk.join("include"))
                .arg(sources().join("rust-neighbour/main.c"))
                .arg("-o")
                .arg(&program)
                .args(libraries)
                .args(["-pthread", "-ldl", "-lm"]),
        );
        let text = runs(&mut Command::new(&program));
        assert!(text.contains("ok"), "{text}");
    }
}

/// Whether programs can be linked with `-luring`, which the published crate always asks for.
fn has_liburing() -> bool {
    let folder = output_folder("liburing");
    let source = folder.join("probe.c");
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let found = compiler(false)
        .arg(&source)
        .arg("-o")
        .arg(folder.join("probe"))
        .arg("-luring")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        use std::io::Write;
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no liburing to link the published crate with"
        );
    }
    found
}

#[test]
fn a_program_of_the_published_crate_runs_on_the_sdk() {
    if !has_liburing() {
        return;
    }
    let sdk = prefix(Release::Current);
    for (kind, name) in [(Kind::Static, "static"), (Kind::Shared, "dylib")] {
        let target = output_folder("published").join(name);
        let mut build = Command::new(env!("CARGO"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LLAM_SYS_")) {
            build.env_remove(name);
        }
        must_succeed(
            build
                .args(["build", "--quiet", "--locked", "--manifest-path"])
                .arg(workspace().join("tests/published/Cargo.toml"))
                .env("CARGO_TARGET_DIR", &target)
                .env("LLAM_SYS_PREFIX", sdk)
                .env("LLAM_SYS_LINK_KIND", name),
        );
        for driver in drivers() {
            let mut command = Command::new(target.join("debug/published"));
            command.env("LLAM_IO_BACKEND", &driver);
            if kind == Kind::Shared {
                command.env("LD_LIBRARY_PATH", sdk.join("lib"));
            }
            let text = runs(&mut command);
            assert!(text.ends_with("ok\n"), "{text}");
        }
    }
}
