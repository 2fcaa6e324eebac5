//! Tells dependents where the headers are. Nothing is compiled, looked up or downloaded.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!(
        "cargo::metadata=include={}",
        Path::new(&root).join("include").display()
    );
    println!("cargo::metadata=root={root}");
}
