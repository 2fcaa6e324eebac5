#[llam::main(profile = "fastest")]
fn main() {}
