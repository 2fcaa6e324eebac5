fn main() {
    let (_tx, rx) = llam::channel::bounded::<u8>(1).unwrap();
    llam::select! {
        recv(rx) -> _ => 1
        default => 2
    };
}
