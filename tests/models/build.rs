//! Tells the included files that they are being modelled: their unit tests stay out.
fn main() {
    println!("cargo:rustc-cfg=loom");
    println!("cargo:rerun-if-changed=build.rs");
}
