fn main() {
    llam::spawn!(class = llam::TaskClass::Batch, 3);
}
