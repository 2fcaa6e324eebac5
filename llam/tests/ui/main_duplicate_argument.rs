#[llam::main(profile = "balanced", profile = "balanced")]
fn main() {}
