//! `#[llam::main]`: the body of `main` is the first task; an error is printed and ends the
//! process with exit code 1.
//!
//! `cargo run -p llam --example attribute_main`

use llam::channel;
use std::time::Duration;

#[llam::main(profile = "balanced")]
fn main() -> llam::Result<()> {
    let (sender, receiver) = channel::bounded::<u32>(1)?;
    let producer = llam::spawn!(move {
        for number in 1..=3 {
            llam::time::sleep(Duration::from_millis(10))?;
            sender.send(number).map_err(|refused| refused.error)?;
        }
        llam::Result::Ok(())
    });
    loop {
        let received = llam::select! {
            recv(receiver) -> number => number.ok(),
            after(Duration::from_secs(1)) => None,
        };
        match received {
            Some(number) => println!("received {number}"),
            None => break,
        }
    }
    producer.join().expect("the producer does not panic")
}
