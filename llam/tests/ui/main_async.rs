#[llam::main]
async fn main() {}
