#[llam::main]
fn main<T>() {}
