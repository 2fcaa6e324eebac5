fn main() {
    let class = llam::TaskClass::Batch;
    llam::spawn!(class = class, class = class, move { 1 });
}
