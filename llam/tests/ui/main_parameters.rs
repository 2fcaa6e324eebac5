#[llam::main]
fn main(count: u32) {}
