fn main() {
    llam::select! {
        default => (),
        default => (),
    }
}
