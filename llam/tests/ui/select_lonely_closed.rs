fn main() {
    let (_tx, rx) = llam::channel::bounded::<u8>(1).unwrap();
    let other = rx.clone();
    llam::select! {
        recv(rx) -> _ => (),
        closed(other) => (),
    }
}
