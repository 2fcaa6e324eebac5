fn main() {
    llam::spawn!(name = "x", move { 1 });
}
