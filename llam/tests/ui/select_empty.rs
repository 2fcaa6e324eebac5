fn main() {
    llam::select! {}
}
