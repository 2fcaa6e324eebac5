//! Chooses the engine: the bundled one, or an installed SDK that the environment names.
//!
//! Owns the `cfg`s that the sources of this crate test:
//!
//! | cfg | when |
//! |---|---|
//! | `llam_bundled` | the engine is `llam-runtime` |
//! | `llam_abi_1` | the SDK's header says ABI 1 |
//! | `llam_lacks = "<function>"` | the SDK's header does not declare this function of 2.1 |
//! | `llam_generated` | feature `bindgen`: the bindings are made from the SDK's own header |
//!
//! Nothing is compiled here. Nothing is downloaded unless a variable of the `LLAM_SYS_INSTALL_*`
//! family asks for it, and a documentation build (`DOCS_RS=1`) looks at no variable at all.

#[cfg(feature = "bindgen")]
mod generate;
mod install;
mod library;
mod sdk;

use std::env;
use std::path::{Path, PathBuf};

use sdk::{Linkage, Sdk};

/// Every variable that has a say; see the crate's documentation for their meaning.
const VARIABLES: &[&str] = &[
    "DOCS_RS",
    "LLAM_SYS_PREFIX",
    "LLAM_SYS_LIB_DIR",
    "LLAM_SYS_INCLUDE_DIR",
    "LLAM_SYS_LIB_NAME",
    "LLAM_SYS_LINK_KIND",
    "LLAM_SYS_INSTALL_PREFIX",
    "LLAM_SYS_INSTALL_VERSION",
    "LLAM_SYS_INSTALL_TARGET",
    "LLAM_SYS_INSTALL_BASE_URL",
    "LLAM_SYS_INSTALL_SCRIPT",
    "LLAM_SYS_FORCE_INSTALL",
    "LLAM_SYS_NO_INSTALL",
];

fn main() {
    println!("cargo::rerun-if-changed=build");
    for name in VARIABLES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    declare_cfgs();
    if let Err(message) = readable_variables().and_then(|()| choose()) {
        println!("cargo::error={}", message.replace('\n', " "));
    }
}

fn declare_cfgs() {
    let names: Vec<String> = sdk::SINCE_2
        .iter()
        .map(|name| format!("{name:?}"))
        .collect();
    println!("cargo::rustc-check-cfg=cfg(llam_bundled)");
    println!("cargo::rustc-check-cfg=cfg(llam_abi_1)");
    println!("cargo::rustc-check-cfg=cfg(llam_generated)");
    println!(
        "cargo::rustc-check-cfg=cfg(llam_lacks, values({}))",
        names.join(", ")
    );
}

/// The value of a variable; an empty one counts as not set.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable that is not UTF-8 would count as not set.
fn readable_variables() -> Result<(), String> {
    for name in VARIABLES {
        if env::var_os(name).is_some_and(|value| value.to_str().is_none()) {
            return Err(format!(
                "{name} is not UTF-8 text; move what it names to a path that is"
            ));
        }
    }
    Ok(())
}

/// Whether a variable is set to something other than 0.
fn is_on(name: &str) -> bool {
    variable(name).is_some_and(|value| value != "0")
}

fn own_folder() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
}

fn choose() -> Result<(), String> {
    let has_bundled = env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    if is_on("DOCS_RS") {
        return bundled_or_nothing(has_bundled);
    }
    let linkage = Linkage::from_environment()?;
    let sdk = match Sdk::named_by_environment()? {
        Some(sdk) => {
            if install::is_asked_for() {
                println!(
                    "cargo::warning=an SDK is named by LLAM_SYS_PREFIX or its kin: the \
                     LLAM_SYS_INSTALL_* variables have no effect"
                );
            }
            Some(sdk)
        }
        None => install::asked_for()?,
    };
    match sdk {
        Some(sdk) => use_sdk(&sdk, &linkage),
        None if linkage.was_asked_for => Err(
            "LLAM_SYS_LIB_NAME or LLAM_SYS_LINK_KIND is set, but no SDK is named for it; set \
             LLAM_SYS_PREFIX to the folder of an installed LLAM SDK, or unset both"
                .to_owned(),
        ),
        None if has_bundled => bundled_or_nothing(true),
        None => Err(
            "no engine: the feature `bundled` of llam-sys is off and no SDK is named; turn the \
             feature on, or set LLAM_SYS_PREFIX to the folder of an installed LLAM SDK"
                .to_owned(),
        ),
    }
}

/// The engine of this workspace, or, for documentation without it, declarations alone.
fn bundled_or_nothing(has_bundled: bool) -> Result<(), String> {
    if has_bundled {
        println!("cargo::rustc-cfg=llam_bundled");
    }
    let root = own_folder();
    let include = root.join("include");
    tell_dependents(&root, &include, None);
    generated_bindings(&include)
}

fn use_sdk(sdk: &Sdk, linkage: &Linkage) -> Result<(), String> {
    let facts = sdk.check(linkage)?;
    if facts.abi_major == 1 {
        println!("cargo::rustc-cfg=llam_abi_1");
    }
    for name in &facts.lacking {
        println!("cargo::rustc-cfg=llam_lacks={name:?}");
    }
    println!(
        "cargo::rustc-link-search=native={}",
        sdk.libraries.display()
    );
    println!(
        "cargo::rustc-link-lib={}={}",
        linkage.kind.keyword(),
        linkage.name
    );
    for library in sdk.system_libraries(linkage.kind) {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    tell_dependents(&sdk.root(), &sdk.include, Some(&sdk.libraries));
    generated_bindings(&sdk.include)
}

/// `DEP_LLAM_RUNTIME_ROOT`, `_INCLUDE` and, with an SDK, `_LIB`.
fn tell_dependents(root: &Path, include: &Path, libraries: Option<&Path>) {
    println!("cargo::metadata=root={}", root.display());
    println!("cargo::metadata=include={}", include.display());
    if let Some(libraries) = libraries {
        println!("cargo::metadata=lib={}", libraries.display());
    }
}

#[cfg(feature = "bindgen")]
fn generated_bindings(include: &Path) -> Result<(), String> {
    if is_on("DOCS_RS") {
        return Ok(());
    }
    let text = generate::generate(include)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let path = out.join("bindings.rs");
    std::fs::write(&path, text)
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    println!("cargo::rustc-cfg=llam_generated");
    Ok(())
}

#[cfg(not(feature = "bindgen"))]
fn generated_bindings(_include: &Path) -> Result<(), String> {
    Ok(())
}
