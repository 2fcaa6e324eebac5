#[llam::test]
fn takes(count: u32) {}

fn main() {}
