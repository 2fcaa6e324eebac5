fn main() {
    let (_tx, rx) = llam::channel::bounded::<u8>(1).unwrap();
    llam::select! {
        receive(rx) -> _ => (),
    }
}
